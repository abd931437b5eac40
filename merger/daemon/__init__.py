"""Who works when: the polling loop, the processes of workers, and upkeep.

Touches the database, starts processes. Begin with `daemon`, which is what happens at each look.
"""
