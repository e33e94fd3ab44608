"""A process that labels texts with an LLM, to be killed: `python labelling_process.py URL CACHE COUNT`."""

import signal
import sys

from tamis.labelers.asking import Asking
from tamis.labelers.cache import Cache
from tamis.labelers.endpoint import Endpoint
from tamis.labelers.labeler import Labeler
from tamis.schema import Kind, Target

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start what is in the background without it
    url, cache, count = sys.argv[1:]
    target = Target.of("intent", Kind.SINGLE_LABEL, ("refund", "delivery"))
    labeler = Labeler(Endpoint("m", url), [target], asking=Asking(concurrency=4), cache=Cache(cache))
    found = labeler.label([f"text {number}" for number in range(int(count))])
    print(sum(labelled.cached for labelled in found), len(found))
