"""`python -m obc_tenant_config.admin`: what must be possible before there is a first key, straight on the database.

    create-operator-key --name NAME     prints a new operator key
    create-tenant --name NAME [--tenant-id UUID] [--own-partition]
    verify-audit [--tenant UUID]        recomputes the hash chains; ends with 1 and names the first bad row

Reads the same settings as the service (ANALYTICS_DATABASE_URL, ANALYTICS_INTERNAL_SECRET).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from pydantic import ValidationError

from obc_common.clock import SystemClock
from obc_common.errors import DomainError
from obc_common.settings import setting_mistakes
from obc_tenant_config.access import canonical_tenant_id
from obc_tenant_config.api_keys import NewKey
from obc_tenant_config.app import Domain, build_domain, open_pool
from obc_tenant_config.audit_chain import ChainVerdict
from obc_tenant_config.model import SYSTEM_ACTOR, Actor, Reach
from obc_tenant_config.settings import Settings

_OPERATORS = Reach("", confined=False, actor=Actor(SYSTEM_ACTOR, "command-line"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. 0 = done, 1 = refused or a bad audit row, 2 = wrong usage or settings."""
    options = _parser().parse_args(arguments)
    try:
        settings = Settings()
    except ValidationError as error:
        print("\n".join(setting_mistakes(error)), file=sys.stderr)
        return 2
    try:
        return asyncio.run(_run(options, settings))
    except DomainError as error:
        print(f"{error.reason}: {error.message}", file=sys.stderr)
    except OSError as error:
        print(f"cannot reach the database: {error}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m obc_tenant_config.admin", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    key = commands.add_parser("create-operator-key", help="make an operator key and print it, once")
    key.add_argument("--name", required=True)
    tenant = commands.add_parser("create-tenant", help="make a tenant and print its id")
    tenant.add_argument("--name", required=True)
    tenant.add_argument("--tenant-id", default="", help="UUID to use; makes the command idempotent")
    tenant.add_argument("--own-partition", action="store_true", help="partitions of its own, for a large tenant")
    audit = commands.add_parser("verify-audit", help="recompute the audit log's hash chains")
    audit.add_argument("--tenant", default="", help="only this tenant; without it every tenant and the operators")
    return parser


async def _run(options: argparse.Namespace, settings: Settings) -> int:
    async with await open_pool(settings) as pool:
        domain = build_domain(settings, pool, SystemClock())
        if options.command == "create-operator-key":
            _key, text = await domain.api_keys.create(_OPERATORS, NewKey("operator", options.name))
            print(text)
            return 0
        if options.command == "create-tenant":
            tenant = await domain.tenants.create(
                _OPERATORS, options.name, options.tenant_id, own_partition=options.own_partition
            )
            print(tenant.tenant_id)
            return 0
        return await _verify(domain, options.tenant)


async def _verify(domain: Domain, tenant_id: str) -> int:
    if tenant_id:
        reach = Reach(canonical_tenant_id(tenant_id), confined=False, actor=_OPERATORS.actor)
        verdicts = {reach.chain: await domain.audit_log.verify(reach)}
    else:
        verdicts = await domain.audit_log.verify_all()
    for chain, verdict in verdicts.items():
        print(_line(chain, verdict))
    return 0 if all(verdict.ok for verdict in verdicts.values()) else 1


def _line(chain: str, verdict: ChainVerdict) -> str:
    if verdict.ok:
        return f"{chain} ok entries={verdict.entries} head={verdict.head_hash.hex() or '-'}"
    return f"{chain} BAD first_bad_seq={verdict.first_bad_seq} problem={verdict.problem} good_entries={verdict.entries}"


if __name__ == "__main__":
    sys.exit(main())
