"""Certificates for the stand-ins that speak TLS, made once by openssl: an authority of their own, and one
certificate for all names. They are of this machine and for nothing else."""

import fcntl
import subprocess

DAYS = "30"


def make(folder, names):
    """Makes them, unless there are some that last for another day and have these names. Who comes at the same time
    waits."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        make_alone(folder, names)


def make_alone(folder, names):
    """The same, where nobody else does."""
    done = folder / "names"
    wanted = " ".join(sorted(set(names)))
    if done.exists() and done.read_text() == wanted and lasts(folder / "server.pem"):
        return
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", DAYS, "-subj", "/CN=stand-ins of wasm-ai-gateway", "-keyout", "ca.key",
            "-out", "ca.pem")
    openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", "/CN=stand-in", "-keyout", "server.key", "-out", "server.csr")
    names_file = folder / "server.ext"
    names_file.write_text("subjectAltName=" + ",".join(f"DNS:{name}" for name in wanted.split()))
    openssl(folder, "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", DAYS, "-extfile", names_file.name, "-out", "server.pem")
    done.write_text(wanted)


def lasts(certificate):
    """Whether a certificate is good for another day."""
    command = ["openssl", "x509", "-checkend", "86400", "-noout", "-in", str(certificate)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def openssl(folder, *arguments):
    """Runs one command of it; what it says is shown if it fails."""
    try:
        done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True,
                              check=False)
    except FileNotFoundError:
        raise SystemExit("openssl is missing: install it; the stand-ins' certificates are made with it") from None
    if done.returncode:
        raise SystemExit(f"openssl {arguments[0]} failed:\n{done.stderr}")
