"""One conversation of paramiko with a server: arguments are the login and what to do, as JSON."""
import json
import os
import sys
import threading

import paramiko

login = json.loads(sys.argv[1])
work = json.loads(sys.argv[2])
client = paramiko.SSHClient()
client.load_host_keys(login["knownHostsFile"])
client.connect(
    login["host"],
    login["port"],
    username=login["user"],
    key_filename=login["keyFile"],
    allow_agent=False,
    look_for_keys=False,
    # Machines may be busy.
    timeout=240,
    banner_timeout=240,
    auth_timeout=240,
)


def send(channel):
    while True:
        data = os.read(0, 65536)
        if not data:
            break
        channel.sendall(data)
    channel.shutdown_write()


def copy(receive, to):
    while True:
        data = receive(65536)
        if not data:
            break
        to.write(data)
        to.flush()


def execute(command):
    channel = client.get_transport().open_session()
    channel.exec_command(command)
    # A command that reads nothing may be gone before its input is.
    threading.Thread(target=send, args=(channel,), daemon=True).start()
    errors = threading.Thread(target=copy, args=(channel.recv_stderr, sys.stderr.buffer))
    errors.start()
    copy(channel.recv, sys.stdout.buffer)
    errors.join()
    return channel.recv_exit_status()


def move(steps):
    sftp = client.open_sftp()
    for step in steps:
        kind = step["do"]
        if kind == "put":
            sftp.put(step["local"], step["remote"])
        elif kind == "get":
            sftp.get(step["remote"], step["local"])
        elif kind == "rename":
            sftp.rename(step["from"], step["to"])
        else:
            getattr(sftp, kind)(step["remote"])
    return 0


try:
    status = execute(work["exec"]) if "exec" in work else move(work["files"])
finally:
    client.close()
sys.stdout.flush()
os._exit(status % 256)
