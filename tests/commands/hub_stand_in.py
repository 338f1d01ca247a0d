"""A stand-in of the Hugging Face Hub: the routes that its library asks when models are pushed and pulled, in memory.

Written from the requests of huggingface_hub 2.4, not from the hub's own source. Large files go the way of git LFS; the newer
one (Xet) has a server of its own and is not here.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

TOKEN = "hf_jane"
OWNER = "jane"
Files = dict[str, bytes]


@dataclass
class Repo:
    """One model: its commits, the newest last."""

    private: bool = False
    gated: bool = False
    commits: list[tuple[str, Files]] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def commit(self, files: Files, message: str = "") -> str:
        oid = hashlib.sha1(f"{len(self.commits)}".encode()).hexdigest()
        self.commits.append((oid, files))
        self.messages.append(message)
        return oid

    @property
    def files(self) -> Files:
        return self.commits[-1][1] if self.commits else {}


class Refusal(Exception):
    """An answer other than 200, as the hub words it."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.answer = JSONResponse({"error": message}, status, {"X-Error-Code": code, "X-Error-Message": message} if code else {})


class Hub:
    """Models by id; `jane` may write to hers and reads what is public."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.large: dict[str, bytes] = {}
        self.lfs = False
        """whether safetensors go the way of large files"""
        self.lies: dict[str, int] = {}
        """sizes that are told in place of the true ones"""
        self.asked: list[str] = []
        self.url = ""

    def put(self, repo: str, files: Files, **facts: bool) -> str:
        """A model that somebody else pushed."""
        self.repos[repo] = Repo(**facts)
        return self.repos[repo].commit({".gitattributes": b"", **files})

    def app(self) -> Starlette:
        repo = "/{owner}/{name}"
        return Starlette(
            routes=[
                Route("/api/repos/create", self.create, methods=["POST"]),
                Route("/api/validate-yaml", self.validate, methods=["POST"]),
                Route(f"/api/models{repo}", self.model),
                Route(f"/api/models{repo}/revision/{{revision}}", self.model),
                Route(f"/api/models{repo}/tree/{{revision}}", self.tree),
                Route(f"/api/models{repo}/preupload/{{revision}}", self.preupload, methods=["POST"]),
                Route(f"/api/models{repo}/commit/{{revision}}", self.commit, methods=["POST"]),
                Route(f"{repo}.git/info/lfs/objects/batch", self.batch, methods=["POST"]),
                Route("/large/{oid}", self.upload, methods=["PUT"]),
                Route("/large/{oid}", self.download),
                Route(f"{repo}/resolve/{{revision}}/{{file}}", self.resolve, methods=["GET", "HEAD"]),
            ],
            exception_handlers={Refusal: lambda _, error: error.answer},
        )

    async def create(self, request: Request) -> Response:
        self.person(request)
        asked = await request.json()
        repo = f"{asked['organization']}/{asked['name']}"
        if asked["organization"] != OWNER:
            raise Refusal(403, "", f'You don\'t have the rights to create a model under the namespace "{asked["organization"]}"')
        if repo in self.repos:
            return JSONResponse({"error": "You already created this model repo", "url": f"{self.url}/{repo}"}, 409)
        self.repos[repo] = Repo(private=asked.get("visibility") == "private")
        self.repos[repo].commit({".gitattributes": b""}, "initial commit")
        return JSONResponse({"url": f"{self.url}/{repo}", "name": repo})

    async def validate(self, request: Request) -> Response:
        front = yaml.safe_load((await request.json())["content"].split("---\n")[1])
        wrong = []
        if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", front.get("base_model", "some/base")):
            wrong.append(f'"base_model" with value "{front["base_model"]}" is not valid. Use a model id from https://hf.co/models.')
        if front.get("license", "mit") not in ("mit", "apache-2.0", "cc-by-4.0", "cc-by-sa-4.0"):
            wrong.append('"license" must be one of …')
        return JSONResponse({"errors": [{"message": it} for it in wrong], "warnings": []}, 400 if wrong else 200)

    async def model(self, request: Request) -> Response:
        name, repo = self.found(request)
        oid, files = self.at(repo, request.path_params.get("revision", "main"))
        siblings = [self.sibling(path, content, "blobs" in request.query_params) for path, content in files.items()]
        card = (
            yaml.safe_load(files["README.md"].decode(errors="replace").split("---\n")[1])
            if b"---\n" in files.get("README.md", b"")
            else None
        )
        facts = {"id": name, "modelId": name, "sha": oid, "private": repo.private, "gated": "auto" if repo.gated else False}
        return JSONResponse(facts | {"siblings": siblings, "tags": [], "cardData": card})

    def sibling(self, path: str, content: bytes, blobs: bool) -> dict[str, Any]:
        told: dict[str, Any] = {"rfilename": path}
        if blobs:
            told |= {"size": self.lies.get(path, len(content)), "blobId": hashlib.sha1(content).hexdigest()}
        if blobs and self.is_large(path):
            told["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
        return told

    async def tree(self, request: Request) -> Response:
        _, files = self.at(self.found(request)[1], request.path_params["revision"])
        rows = [
            {"type": "file", "path": path, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
            for path, content in files.items()
        ]
        return JSONResponse(rows)

    async def preupload(self, request: Request) -> Response:
        self.person(request)
        self.found(request)
        rows = [
            {"path": it["path"], "uploadMode": "lfs" if self.is_large(it["path"]) else "regular", "shouldIgnore": False}
            for it in (await request.json())["files"]
        ]
        return JSONResponse({"files": rows})

    async def batch(self, request: Request) -> Response:
        self.person(request)
        objects = (await request.json())["objects"]
        rows = [it | {"actions": {"upload": {"href": f"{self.url}/large/{it['oid']}"}}} for it in objects]
        return JSONResponse({"transfer": "basic", "objects": rows})

    async def upload(self, request: Request) -> Response:
        self.large[request.path_params["oid"]] = await request.body()
        return Response()

    async def download(self, request: Request) -> Response:
        assert "authorization" not in request.headers, "a token went to another host"
        return Response(self.large[request.path_params["oid"]])

    async def commit(self, request: Request) -> Response:
        self.person(request)
        name, repo = self.found(request)
        lines = [json.loads(line) for line in (await request.body()).splitlines()]
        files = dict(repo.files)
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.large[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        oid = repo.commit(files, lines[0]["value"]["summary"])
        return JSONResponse({"success": True, "commitOid": oid, "commitUrl": f"{self.url}/{name}/commit/{oid}"})

    async def resolve(self, request: Request) -> Response:
        _, repo = self.found(request)
        if repo.gated:
            raise Refusal(403, "GatedRepo", "Access to this model is restricted and you are not in the authorized list.")
        oid, files = self.at(repo, request.path_params["revision"])
        file = request.path_params["file"]
        self.asked.append(file)
        if file not in files:
            raise Refusal(404, "EntryNotFound", "Entry not found")
        content, told = files[file], {"X-Repo-Commit": oid, "ETag": f'"{hashlib.sha1(files[file]).hexdigest()}"'}
        if not self.is_large(file):
            return Response(content, headers=told)
        digest = hashlib.sha256(content).hexdigest()
        self.large.setdefault(digest, content)
        told |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(content))}
        # Another host, as the hub's large files lie on one.
        return RedirectResponse(f"{self.url.replace('127.0.0.1', 'localhost')}/large/{digest}", 302, told)

    def is_large(self, path: str) -> bool:
        return self.lfs and path.endswith(".safetensors")

    def person(self, request: Request) -> bool:
        """Whether somebody is logged in, who has to be where something is written."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token and token != TOKEN:
            raise Refusal(401, "", "Invalid credentials in Authorization header")
        if not token and request.method == "POST":
            raise Refusal(401, "", "Invalid username or password.")
        return bool(token)

    def found(self, request: Request) -> tuple[str, Repo]:
        person = self.person(request)
        name = f"{request.path_params['owner']}/{request.path_params['name']}"
        repo = self.repos.get(name)
        if repo is None or (repo.private and not (person and name.startswith(f"{OWNER}/"))):
            # Who is not logged in is not told what there is.
            raise Refusal(404, "RepoNotFound", "Repository not found") if person else Refusal(401, "", "Invalid username or password.")
        return name, repo

    def at(self, repo: Repo, revision: str) -> tuple[str, Files]:
        found = [it for it in repo.commits if it[0] == revision or revision == "main"]
        if not found:
            raise Refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return found[-1]


@contextmanager
def running(hub: Hub) -> Iterator[Hub]:
    """The hub on a port of this machine."""
    server = uvicorn.Server(uvicorn.Config(hub.app(), "127.0.0.1", 0, log_level="critical", timeout_graceful_shutdown=1))
    there = server.config.bind_socket()
    hub.url = f"http://127.0.0.1:{there.getsockname()[1]}"
    thread = threading.Thread(target=server.run, args=([there],), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield hub
    server.should_exit = True
    thread.join()
