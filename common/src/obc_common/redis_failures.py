"""What the Redis client raises when Redis, or the way to it, is gone. Losing Redis never fails anything."""

from redis.exceptions import RedisError

# RuntimeError: uvloop's answer to a write on a connection that was reset a moment ago, which the client lets through.
# TimeoutError is an OSError.
REDIS_FAILURES = (RedisError, OSError, RuntimeError)
