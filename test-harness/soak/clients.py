"""Clients in processes of their own, so that Python is not what is measured."""

import http.client
import json
import multiprocessing
import threading
import time
from collections import Counter

from .mix import requests


class Clients:
    """Processes with threads that ask; `pause` is how long each thread waits between two requests."""

    def __init__(self, address, processes=3, threads=8):
        self.pause = multiprocessing.Value("d", 0.05)
        self.over = multiprocessing.Event()
        self.answers = multiprocessing.Queue()
        self.processes = [
            multiprocessing.Process(target=work, args=(address, number, processes, threads, self.pause,
                                                       self.over, self.answers), daemon=True)
            for number in range(processes)]
        for process in self.processes:
            process.start()

    def stop(self):
        """Ends them; what came by kind of request and outcome, and what was wrong."""
        self.over.set()
        counts, wrong = Counter(), []
        for _ in self.processes:
            more, errors = self.answers.get(timeout=120)
            counts.update(more)
            wrong += errors
        for process in self.processes:
            process.join()
        return counts, wrong


def work(address, number, processes, threads, pause, over, answers):
    """One process."""
    counts, wrong = Counter(), []

    def loop(thread):
        connection = None
        mix = requests(number * threads + thread, number * threads + thread, processes * threads)
        for request in mix:
            if over.is_set():
                return
            connection = connection or http.client.HTTPConnection(address, timeout=60)
            try:
                outcome, error = ask(connection, request)
            except (OSError, http.client.HTTPException) as failure:
                outcome, error = type(failure).__name__, f"{request.kind}: {failure!r}"
            counts[(request.kind, outcome)] += 1
            if error:
                wrong.append(error)
            if error or request.leave:
                connection.close()
                connection = None
            time.sleep(pause.value)

    workers = [threading.Thread(target=loop, args=(thread,)) for thread in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    answers.put((counts, wrong[:20]))


def ask(connection, request):
    """One request: its outcome, and what was wrong with it."""
    connection.request("POST", request.path, json.dumps(request.body), request.headers())
    response = connection.getresponse()
    if request.leave and response.status == 200:
        response.read(20)
        return "left", None
    body = response.read()
    if response.status not in request.statuses:
        return response.status, f"{request.kind}: {response.status} {body[:200]!r}"
    whole = b"[DONE]" in body if request.streams and response.status == 200 else json.loads(body)
    return response.status, None if whole else f"{request.kind}: an incomplete answer"
