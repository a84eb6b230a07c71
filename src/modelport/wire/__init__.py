"""Bytes to typed, checked Columns and back; pure, one module a dialect."""
