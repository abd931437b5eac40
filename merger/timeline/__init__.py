"""What is shown when: spans, tracks, the edit plan, its parts, and captions. Pure.

Touches nothing outside: no file, no clock, no process. Begin with `plan`; `parts` and `sound` turn
a plan into the `specs` that steps encode.
"""
