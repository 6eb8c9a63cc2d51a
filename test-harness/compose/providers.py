"""`make compose-files`: writes the certificates of the stand-ins, and the file of the service `providers`."""

from gateway import certificates, config, doors

# As the container sees the folder; as the examples have it.
FOLDER, PORT = "/tls", 443


def write(folder):
    """Writes them into a folder."""
    certificates.make(folder, config.HOSTS)
    ports = {port: port for port in config.PORTS} | {config.TLS: PORT}
    (folder / "providers.json").write_text(doors.bootstrap(ports, FOLDER))


if __name__ == "__main__":
    write(config.TLS_FOLDER)
