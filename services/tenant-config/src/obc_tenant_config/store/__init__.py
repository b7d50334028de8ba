"""SQL, in functions named by what they are for. Each takes the connection of a transaction that its caller owns."""
