"""`python -m obc_tenant_config`: the TenantConfig service."""

from obc_common.process import run_service
from obc_tenant_config.app import build
from obc_tenant_config.settings import Settings

if __name__ == "__main__":
    run_service(Settings, build)
