"""`python -m gateway.tls PORT TARGET [FOLDER]`: takes TLS on one port, with the certificate of a folder, and passes
what is inside on to another."""

import asyncio
import ssl
import sys
from pathlib import Path

from . import certificates, config


async def copy(reader, writer):
    """Passes on what comes until it ends."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except (ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.close()


async def serve(port, target, folder):
    """Serves until it is ended."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")

    async def connected(reader, writer):
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer))

    server = await asyncio.start_server(connected, "127.0.0.1", port, ssl=context)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    of = Path(sys.argv[3]) if len(sys.argv) > 3 else config.ROOT / certificates.FOLDER
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), of))
