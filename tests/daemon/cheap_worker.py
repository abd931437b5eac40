"""A worker that only says what it did: `python -I tests/daemon/cheap_worker.py ADDRESS FILE RECORD ATTEMPT WORKER`.

It appends a line to a file, and ends the record if it is still its own. It imports nothing of the
product: hundreds of these are started.
"""

import os
import sys
from urllib.parse import unquote, urlsplit

ENDED = (
    "UPDATE records SET status = 'delivered', claimed_by = NULL, lease_until = NULL"
    " WHERE id = {0} AND attempt = {0} AND status = 'running'"
)


def main() -> int:
    address, file, record, attempt, worker = sys.argv[1:]
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(handle, f"{record} {worker}\n".encode())
    os.close(handle)
    url = urlsplit(address)
    if url.scheme == "sqlite":
        import sqlite3

        connection = sqlite3.connect(url.path[1:], timeout=60)
        statement = ENDED.format("?")
    else:
        import pymysql

        connection = pymysql.connect(
            host=url.hostname, port=url.port, user=url.username,
            password=unquote(url.password or ""), database=url.path[1:],
        )  # fmt: skip
        statement = ENDED.format("%s")
    cursor = connection.cursor()
    cursor.execute(statement, (int(record), int(attempt)))
    changed = cursor.rowcount
    connection.commit()
    connection.close()
    return 0 if changed == 1 else 4


if __name__ == "__main__":
    sys.exit(main())
