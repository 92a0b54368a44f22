"""Rendered parts, good and defective, with exact masks."""
