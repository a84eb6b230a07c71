"""Fitted estimators read into programs: the same arithmetic as data, to be run without the library that fitted them."""
