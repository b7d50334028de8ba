"""`python -m obc_query`: runs the Query service."""

from obc_common.process import run_service
from obc_query.app import build
from obc_query.settings import Settings

if __name__ == "__main__":
    run_service(Settings, build)
