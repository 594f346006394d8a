"""A server that is far away: every byte takes half a round trip, in either direction.

Chromium's own emulation will not do: its latency is the least time that an answer may take, so that a server as slow as
the network hides the network. A program of its own: `python -m gan_demo.benchmark.distance URL MILLISECONDS --port N`.
"""

import argparse
import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from gan_demo.benchmark.server import serving


@contextmanager
def far(url: str, round_trip: int) -> Iterator[str]:
    """An address from which the server at `url` is so many milliseconds away."""
    with serving("-m", "gan_demo.benchmark.distance", url, str(round_trip)) as proxy:
        proxy.wait()
        yield proxy.url


async def carry_all(url: str, delay: float, port: int) -> None:
    """Serve on `port` what the server at `url` answers, `delay` seconds later each way."""
    target = urlsplit(url)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(2 * delay)  # the handshake
        try:
            back, forth = await asyncio.open_connection(target.hostname, target.port)
            await asyncio.gather(_carry(reader, forth, delay), _carry(back, writer, delay))
        except OSError:  # one of the two has hung up
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    await server.serve_forever()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Hand on what comes, each piece `delay` seconds later, however many are on the way."""
    loop = asyncio.get_running_loop()
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def depart() -> None:
        data = b"-"
        while data:
            try:
                data = await reader.read(2**16)
            except OSError:  # hung up without a word: the other side is told as if it had said goodbye
                data = b""
            under_way.put_nowait((loop.time() + delay, data))

    departing = asyncio.ensure_future(depart())
    while True:
        due, data = await under_way.get()
        await asyncio.sleep(due - loop.time())
        if not data:
            break
        writer.write(data)
        await writer.drain()
    await departing
    writer.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("milliseconds", type=int)
    parser.add_argument("--port", type=int)
    options = parser.parse_args()
    asyncio.run(carry_all(options.url, options.milliseconds / 2000, options.port))
