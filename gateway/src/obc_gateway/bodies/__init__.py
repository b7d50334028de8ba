"""Request bodies: read within a deadline, inflated within a bound."""
