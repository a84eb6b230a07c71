"""modelport: a saved machine-learning model becomes a production HTTP API with one command.

Importing this package imports no machine-learning framework and takes milliseconds; what is heavy is imported when called.
"""

__version__ = "0.1.0"
