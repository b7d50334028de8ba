"""TenantConfig: tenants, their rules, keys and audit log."""
