"""The two pages of a server and the files they need. No script, style or font comes from another host."""
