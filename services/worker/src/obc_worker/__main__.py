"""`python -m obc_worker`: runs the worker."""

from obc_common.process import run_service
from obc_worker.app import build
from obc_worker.settings import Settings

if __name__ == "__main__":
    run_service(Settings, build)
