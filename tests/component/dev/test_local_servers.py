"""The servers that tests and `make run` start."""

import asyncpg
from redis.asyncio import Redis

from obc_dev.servers.redis import RedisServer


async def test_postgres_of_the_tests_is_as_durable_as_a_real_one(database: str) -> None:
    connection = await asyncpg.connect(database, timeout=10)
    try:
        names = ("fsync", "full_page_writes", "synchronous_commit")
        durable = {name: await connection.fetchval(f"SHOW {name}") for name in names}
    finally:
        await connection.close()

    assert durable == {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}


async def test_redis_can_be_stopped_and_comes_back_empty(redis_server: RedisServer) -> None:
    async with Redis.from_url(redis_server.url) as client:
        await client.set("key", "value")

    redis_server.kill()
    assert not redis_server.is_ready()
    redis_server.start()

    async with Redis.from_url(redis_server.url) as client:
        assert await client.get("key") is None
