"""One instant on both sides, by sound: whose clock counts, who is moved to it, and by how much.

Pure. `merger/analysis/sync` measures. Begin with `outcome`.
"""
