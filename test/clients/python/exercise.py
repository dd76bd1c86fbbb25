"""The official Python client does, in the namespace that it is told, what scripts and operators do.

usage: exercise.py KUBECONFIG NAMESPACE
Prints a JSON object: what each exercise said, or why it failed.
"""

import base64
import contextlib
import hashlib
import io
import json
import sys
import threading
import traceback

import urllib3
from kubernetes import client, config, watch
from kubernetes.client.rest import ApiException
from kubernetes.stream import portforward, stream

LONGEST_SECONDS = 60


def config_map(name, value="b"):
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name), data={"a": value})


def come_and_go(api, namespace, name):
    api.create_namespaced_config_map(namespace, config_map(name))
    api.patch_namespaced_config_map(name, namespace, {"data": {"a": "c"}})
    api.delete_namespaced_config_map(name, namespace)


def objects(api, namespace):
    made = api.create_namespaced_config_map(namespace, config_map("by-python"))
    made.data["a"] = "c"
    changed = api.replace_namespaced_config_map("by-python", namespace, made)
    names = [item.metadata.name for item in api.list_namespaced_config_map(namespace).items]
    print(changed.data, "by-python" in names)
    api.delete_namespaced_config_map("by-python", namespace)


def errors(api, namespace):
    try:
        api.read_namespaced_pod("missing", namespace)
    except ApiException as error:
        print(error.status, error.reason, error.body)


def watching(api, namespace):
    changing = threading.Thread(target=come_and_go, args=(api, namespace, "watched"))
    running = watch.Watch()
    # The watch begins where the list ended, so that nothing is missed.
    version = api.list_namespaced_config_map(namespace).metadata.resource_version
    changing.start()
    for event in running.stream(
        api.list_namespaced_config_map,
        namespace,
        field_selector="metadata.name=watched",
        resource_version=version,
        timeout_seconds=LONGEST_SECONDS,
    ):
        print(event["type"], event["object"].data)
        if event["type"] == "DELETED":
            running.stop()
    changing.join()


def open_exec(api, namespace, script, **options):
    return stream(
        api.connect_get_namespaced_pod_exec,
        "talk",
        namespace,
        container="c",
        command=["sh", "-c", script],
        stdout=True,
        stderr=True,
        _preload_content=False,
        **{"stdin": False, "tty": False, **options},
    )


def exec_exit_code(api, namespace):
    running = open_exec(api, namespace, "echo out; echo err >&2; exit 7")
    running.run_forever(timeout=LONGEST_SECONDS)
    print(running.read_stdout(), running.read_stderr(), running.returncode)


def exec_stdin(api, namespace):
    text = base64.b64encode(bytes(range(256)) * 2000).decode()
    running = open_exec(api, namespace, f"head -c {len(text)} | sha256sum", stdin=True)
    for at in range(0, len(text), 10_000):
        running.write_stdin(text[at : at + 10_000])
    running.run_forever(timeout=LONGEST_SECONDS)
    said = running.read_stdout()
    print(said, running.returncode, hashlib.sha256(text.encode()).hexdigest() in said)


def exec_resize(api, namespace):
    script = 'until [ "$(stty size)" = "41 123" ]; do sleep 0.05; done; echo resized'
    running = open_exec(api, namespace, script, stdin=True, tty=True)
    for width, height in ((80, 24), (123, 41)):
        running.write_channel(4, json.dumps({"Width": width, "Height": height}))
    running.run_forever(timeout=LONGEST_SECONDS)
    print(running.read_stdout(), running.returncode)


def exec_all(api, namespace):
    print(
        stream(
            api.connect_get_namespaced_pod_exec,
            "talk",
            namespace,
            container="c",
            command=["seq", "1", "2000"],
            stdout=True,
            stderr=True,
            stdin=False,
            tty=False,
        )
    )


def logs(api, namespace):
    print(api.read_namespaced_pod_log("talk", namespace))


def forward(api, namespace):
    forwarding = portforward(api.connect_get_namespaced_pod_portforward, "web", namespace, ports="8080")
    socket = forwarding.socket(8080)
    socket.setblocking(True)
    socket.sendall(b"GET /a HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n")
    answer = b""
    while piece := socket.recv(1024):
        answer += piece
    print(answer.split(b"\r\n")[0], answer.split(b"\r\n\r\n")[1], forwarding.error(8080))


EXERCISES = {
    "objects": objects,
    "errors": errors,
    "watch": watching,
    "exec": exec_all,
    "exec-exit-code": exec_exit_code,
    "exec-stdin": exec_stdin,
    "exec-resize": exec_resize,
    "logs": logs,
    "port-forward": forward,
}


def played(exercise, namespace):
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            # An exec changes the client that it is given.
            exercise(client.CoreV1Api(client.ApiClient()), namespace)
    except Exception:
        return {"failed": traceback.format_exc()}
    return {"said": said.getvalue()}


def main():
    _, kubeconfig, namespace = sys.argv
    settings = client.Configuration()
    config.load_kube_config(kubeconfig, client_configuration=settings)
    # What is answered 503 with Retry-After was not forwarded: whatever it is, it may be sent again.
    settings.retries = urllib3.Retry(status_forcelist=[503], allowed_methods=None)
    client.Configuration.set_default(settings)
    print(json.dumps({name: played(exercise, namespace) for name, exercise in EXERCISES.items()}))


main()
