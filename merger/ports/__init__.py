"""What the service needs of the outside, as Protocols and frozen values. Pure.

`recorders/`, `google_apis/` and the folders of this project implement them; `app.py` plugs them in.
Begin with `recorder`, where media comes from, and `destination`, where videos go.
"""
