"""The kinds of picture that are no presentation, a module for each rule; pure.

A rule returns what it found, or None. None of them guesses: a doubtful picture is a presentation.
`classify`, above, asks them one after another. Begin with `view`, what they are shown.
"""
