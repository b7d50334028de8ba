"""The version, as the server is told it."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("obc-analytics")
except PackageNotFoundError:  # run from a source folder that is merely on the path
    VERSION = "0"
