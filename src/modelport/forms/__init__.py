"""The same arithmetic without the ceremony: pure functions from configuration and weights to faster, proven-equal predictors."""
