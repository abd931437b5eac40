"""People: who may do what, and what each chooses for themselves."""
