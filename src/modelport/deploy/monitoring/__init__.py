"""What to watch of a running service: alert rules and a dashboard, made from the table of metrics so that both name what there is."""
