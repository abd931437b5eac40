"""Pictures that stand on the screens of rooms: learned by workers, answered by editors.

learning is what a worker writes and reads; questions is what editors see and say; remaking makes
recordings again for which an answer matters.
"""
