"""Where connections may lead, and the HTTP session that goes nowhere else.

Begin with `addresses`: what an address is, and whether it is allowed. `targets` reads URLs; both
are pure. `resolve` asks for the addresses of a name, `session` connects.
"""
