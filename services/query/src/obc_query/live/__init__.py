"""The live feed: events from Redis and numbers from the read model, fanned out to this process's subscribers."""
