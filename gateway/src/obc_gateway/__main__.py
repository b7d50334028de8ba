"""Runs the gateway."""

from obc_common.process import run_service
from obc_gateway.app import build
from obc_gateway.settings import Settings

if __name__ == "__main__":
    run_service(Settings, build)
