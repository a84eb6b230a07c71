"""The version, for parts that may not import the package itself, which brings the server."""

VERSION = "0.1.0"
