"""`python -m obc_ingest`: runs the ingest service."""

from obc_common.process import run_service
from obc_ingest.app import build
from obc_ingest.settings import Settings

if __name__ == "__main__":
    run_service(Settings, build)
