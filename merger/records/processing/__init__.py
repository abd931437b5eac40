"""A record and who works on it: claimed, leased, what each stage has found out, and the end."""
