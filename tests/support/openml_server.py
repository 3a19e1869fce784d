"""A small OpenML on loopback: the XML, ARFF and Parquet that the real client asks for, and faults on demand."""

import hashlib
import io
import re
import socket
import struct
import threading
import time
import zlib
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.sax.saxutils import escape

import arff
import numpy as np
import pandas as pd

OML = 'xmlns:oml="http://openml.org/openml"'


@dataclass
class Table:
    """A dataset as it is uploaded: float64 columns are numeric, categories nominal, the rest strings."""

    name: str
    frame: pd.DataFrame
    target: str
    row_id: str | None = None
    ignore: tuple[str, ...] = ()
    version: int = 1
    sparse: bool = False
    status: str = "active"

    def kind(self, column):
        dtype = self.frame[column].dtype
        if isinstance(dtype, pd.CategoricalDtype):
            return [str(level) for level in dtype.categories]
        return "REAL" if dtype == np.float64 else "STRING"

    def arff(self):
        rows = self.frame.astype(object).where(self.frame.notna(), None).to_numpy().tolist()
        if self.sparse:
            rows = [{i: value for i, value in enumerate(row) if value != 0.0} for row in rows]
        attributes = [(column, self.kind(column)) for column in self.frame]
        return arff.dumps({"relation": self.name, "attributes": attributes, "data": rows}).encode()


@dataclass
class Fault:
    """What goes wrong with the next `times` answers whose path matches."""

    kind: str
    path: str = ""
    times: int = 1
    retry_after: str = "0"


@dataclass
class Catalogue:
    """Tables by dataset id; tasks by id: (dataset, test folds (n, repeats), task type id); suites by id: task ids."""

    tables: dict = field(default_factory=dict)
    tasks: dict = field(default_factory=dict)
    suites: dict = field(default_factory=dict)
    lacking: dict = field(default_factory=dict)  # task → what of its estimation procedure is not there: "input" or "url"


class OpenMLServer:
    """Context manager; `url` is what OPENML_SERVER is set to, `asked` the paths that were asked for."""

    def __init__(self, catalogue, port=0):
        self.catalogue, self.faults, self.asked, self.lock = catalogue, [], [], threading.Lock()
        handler = type("Handler", (_Handler,), {"world": self})
        self.http = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self.port = self.http.server_address[1]
        self.base = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.base}/api/v1/xml"

    def __enter__(self):
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Go away: later connections are refused."""
        self.http.shutdown()
        self.http.server_close()

    def next_fault(self, path):
        with self.lock:
            self.asked.append(path)
            for fault in self.faults:
                if fault.times and re.search(fault.path, path):
                    fault.times -= 1
                    return fault
        return None

    def answer(self, path):
        """(status, body) of a path."""
        match path.removeprefix("/api/v1/xml").strip("/").split("/"):
            case ["study", number] if int(number) in self.catalogue.suites:
                return 200, self._study(int(number))
            case ["task", number] if int(number) in self.catalogue.tasks:
                return 200, self._task(int(number))
            case ["data", "features", number] if int(number) in self.catalogue.tables:
                return 200, self._features(self.catalogue.tables[int(number)])
            case ["data", "qualities", number] if int(number) in self.catalogue.tables:
                return 200, self._qualities(self.catalogue.tables[int(number)])
            case ["data", number] if int(number) in self.catalogue.tables:
                return 200, self._description(int(number))
            case ["download", number, _]:
                return 200, self.catalogue.tables[int(number)].arff()
            case ["splits", number]:
                return 200, self._splits(int(number))
            case ["bucket", number, _]:
                buffer = io.BytesIO()
                self.catalogue.tables[int(number)].frame.to_parquet(buffer)
                return 200, buffer.getvalue()
        return 412, f"<oml:error {OML}><oml:code>151</oml:code><oml:message>Unknown: {path}</oml:message></oml:error>".encode()

    def _study(self, number):
        tasks = self.catalogue.suites[number]
        ids = "".join(f"<oml:task_id>{task}</oml:task_id>" for task in tasks)
        data = "".join(f"<oml:data_id>{self.catalogue.tasks[task][0]}</oml:data_id>" for task in tasks)
        return (
            f"<oml:study {OML}><oml:id>{number}</oml:id><oml:main_entity_type>task</oml:main_entity_type>"
            "<oml:name>Test suite</oml:name><oml:description>For tests</oml:description><oml:status>active</oml:status>"
            "<oml:creation_date>2026-01-01 00:00:00</oml:creation_date><oml:creator>1</oml:creator>"
            f"<oml:data>{data}</oml:data><oml:tasks>{ids}</oml:tasks></oml:study>"
        ).encode()

    def _task(self, number):
        dataset, folds, kind = self.catalogue.tasks[number]
        shape = {
            "number_repeats": folds.shape[1],
            "number_folds": folds.max() + 1,
            "percentage": "",
            "stratified_sampling": "true",
        }
        parameters = "".join(f'<oml:parameter name="{key}">{value}</oml:parameter>' for key, value in shape.items())
        names = {1: "Supervised Classification", 2: "Supervised Regression"}
        target, lack = escape(self.catalogue.tables[dataset].target), self.catalogue.lacking.get(number)
        address = "" if lack == "url" else f"<oml:data_splits_url>{self.base}/splits/{number}</oml:data_splits_url>"
        procedure = (
            '<oml:input name="estimation_procedure"><oml:estimation_procedure><oml:id>1</oml:id>'
            f"<oml:type>crossvalidation</oml:type>{address}{parameters}</oml:estimation_procedure></oml:input>"
        )
        return (
            f"<oml:task {OML}><oml:task_id>{number}</oml:task_id><oml:task_name>t</oml:task_name>"
            f"<oml:task_type_id>{kind}</oml:task_type_id><oml:task_type>{names[kind]}</oml:task_type>"
            f'<oml:input name="source_data"><oml:data_set><oml:data_set_id>{dataset}</oml:data_set_id>'
            f"<oml:target_feature>{target}</oml:target_feature></oml:data_set></oml:input>"
            f"{'' if lack == 'input' else procedure}</oml:task>"
        ).encode()

    def _splits(self, number):
        folds = self.catalogue.tasks[number][1]
        lines = ["@RELATION splits", "@ATTRIBUTE type {TRAIN,TEST}", "@ATTRIBUTE rowid INTEGER"]
        lines += ["@ATTRIBUTE repeat INTEGER", "@ATTRIBUTE fold INTEGER", "@DATA"]
        for repeat, fold_of in enumerate(folds.T):
            for fold in range(fold_of.max() + 1):
                part = np.where(fold_of == fold, "TEST", "TRAIN")
                lines += [f"{kind},{row},{repeat},{fold}" for row, kind in enumerate(part)]
        return "\n".join(lines).encode()

    def _description(self, number):
        table = self.catalogue.tables[number]
        optional = f"<oml:row_id_attribute>{escape(table.row_id)}</oml:row_id_attribute>" if table.row_id else ""
        optional += "".join(f"<oml:ignore_attribute>{escape(name)}</oml:ignore_attribute>" for name in table.ignore)
        return (
            f"<oml:data_set_description {OML}><oml:id>{number}</oml:id><oml:name>{escape(table.name)}</oml:name>"
            f"<oml:version>{table.version}</oml:version><oml:description>d</oml:description>"
            f"<oml:format>{'Sparse_ARFF' if table.sparse else 'ARFF'}</oml:format><oml:licence>CC0</oml:licence>"
            f"<oml:url>{self.base}/download/{number}/{escape(table.name)}.arff</oml:url>"
            f"<oml:parquet_url>{self.base}/bucket/{number}/dataset_{number}.pq</oml:parquet_url>"
            f"<oml:default_target_attribute>{escape(table.target)}</oml:default_target_attribute>{optional}"
            f"<oml:status>{table.status}</oml:status>"
            f"<oml:md5_checksum>{hashlib.md5(table.arff()).hexdigest()}</oml:md5_checksum></oml:data_set_description>"
        ).encode()

    def _features(self, table):
        parts = []
        for index, column in enumerate(table.frame):
            kind = table.kind(column)
            name = "nominal" if isinstance(kind, list) else {"REAL": "numeric", "STRING": "string"}[kind]
            levels = kind if isinstance(kind, list) else []
            parts.append(
                f"<oml:feature><oml:index>{index}</oml:index><oml:name>{escape(column)}</oml:name><oml:data_type>{name}</oml:data_type>"
                + "".join(f"<oml:nominal_value>{escape(level)}</oml:nominal_value>" for level in levels)
                + f"<oml:is_target>{str(column == table.target).lower()}</oml:is_target>"
                f"<oml:number_of_missing_values>{table.frame[column].isna().sum()}</oml:number_of_missing_values></oml:feature>"
            )
        return f"<oml:data_features {OML}>{''.join(parts)}</oml:data_features>".encode()

    def _qualities(self, table):
        rows = f"<oml:quality><oml:name>NumberOfInstances</oml:name><oml:value>{len(table.frame)}</oml:value></oml:quality>"
        return f"<oml:data_qualities {OML}>{rows}</oml:data_qualities>".encode()


class _Handler(BaseHTTPRequestHandler):
    world: OpenMLServer

    def log_message(self, *_):
        pass

    def do_GET(self):  # noqa: C901 - one case a fault
        path = self.path.partition("?")[0]
        fault = self.world.next_fault(path)
        status, body = self.world.answer(path)
        match fault and fault.kind:
            case "500":
                self.reply(500, b"<html>Internal Server Error</html>")
            case "429":
                when = formatdate(time.time() + 1, usegmt=True) if fault.retry_after == "date" else fault.retry_after
                self.reply(429, b"slow down", {"Retry-After": when})
            case "slow":
                self.head(200, len(body))
                for byte in body[:40]:
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    time.sleep(0.02)
                self.hang_up()
            case "silent":
                time.sleep(1.0)
                self.hang_up()
            case "truncated":
                self.head(status, len(body))
                self.wfile.write(body[: len(body) // 2])
                self.close_connection = True
            case "wrong checksum":
                self.reply(status, body[:-3] + b"\n%\n")
            case "half":
                self.reply(status, body[: len(body) // 2])
            case "reset":
                self.head(status, len(body))
                self.wfile.write(body[:10])
                self.hang_up()
            case "endless" | "bomb" | "endless redirect" | "redirect" | "garbage":
                self.mean_no_good(fault)
            case "gone":
                self.world.stop()  # before the client can ask again
                self.hang_up()
            case None:
                self.reply(status, body)

    def head(self, status, length, headers=None):
        self.send_response(status)
        self.send_header("Content-Type", "text/xml")
        for name, value in {"Content-Length": str(length), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()

    def reply(self, status, body, headers=None):
        self.head(status, len(body), headers)
        self.wfile.write(body)

    def mean_no_good(self, fault):
        match fault.kind:
            case "endless":
                self.send_response(200)
                self.end_headers()
                self.pour()
            case "bomb":
                packed = zlib.compressobj(9, wbits=31)
                body = b"".join(packed.compress(bytes(2**20)) for _ in range(64)) + packed.flush()
                self.reply(200, body, {"Content-Encoding": "gzip"})
            case "endless redirect":
                self.send_response(302)
                self.send_header("Location", f"{self.world.base}/elsewhere")
                self.end_headers()
                self.pour()
            case "redirect":
                self.reply(302, b"", {"Location": fault.retry_after})
            case "garbage":
                self.reply(200, fault.retry_after.encode("utf-8", "surrogateescape"))

    def pour(self):
        """Send until nobody listens."""
        for _ in range(10_000):  # 640 MB; the machine is to survive the test if nobody looks
            self.wfile.write(bytes(2**16))
        self.close_connection = True

    def hang_up(self):
        """End the connection with a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def handle(self):
        try:
            super().handle()
        except (ValueError, OSError):  # the connection was closed above, or by the client
            pass

    def finish(self):
        try:
            super().finish()
        except (ValueError, OSError):
            pass
