"""Golden bytes of letters, made from fixed seeds: `python -m vectors.letters` in `tests/`.

Review the difference before committing it: a changed byte is a changed format.
"""

import json
from pathlib import Path

from meshd.core import crypto
from meshd.core.ids import OPEN_MESH_ID, node_id
from meshd.forwarding.pairwise import Pairwise, Prekey, answer, refusal, seal
from meshd.messages.window import Window
from meshd.wire import payload
from meshd.wire.letters import AnswerDatagram, DirectDatagram, Echo, Introduction, Read, Text

PATH = Path(__file__).with_name("letters.json")
ANNA, BERT = b"\x01" * 32, b"\x03" * 32
SECRET, OTHER_SECRET = b"\x05" * 32, b"\x07" * 32


def make():
    """Return {name: {what it is: JSON value}}; bytes are hex."""
    publics = [crypto.sign_public(seed) for seed in (ANNA, BERT)]
    anna, bert = (node_id(public) for public in publics)
    pair = Pairwise(ANNA, OPEN_MESH_ID).with_device(publics[1])
    said = {
        "echo": Echo(b"\xa1\xa2\xa3\xa4"),
        "text": Text(7, "all is well at the mill"),
        "read": Read(7),
    }
    bodies = {name: seal(pair.there, letter.encode()) for name, letter in said.items()}
    halves = [crypto.exchange_public(secret) for secret in (SECRET, OTHER_SECRET)]
    prekey = Prekey(2, SECRET, halves[0], 0)
    later = Pairwise(ANNA, OPEN_MESH_ID).with_prekeys(publics[1], prekey, halves[1])
    sealed = seal(later.there, said["text"].encode())
    window = Window()
    window.take(7, bodies["text"][:8])
    datagram = DirectDatagram(bert, anna, 513, anna[:2], bodies["text"])
    return {
        "keys": {
            "seed": ANNA.hex(),
            "other_seed": BERT.hex(),
            "mesh": OPEN_MESH_ID.hex(),
            "public": publics[0].hex(),
            "other_public": publics[1].hex(),
            "tag_key": pair.there.tag.hex(),
            "cipher_key": pair.there.cipher.hex(),
            "answer_key": pair.there.answer.hex(),
            "back_tag_key": pair.back.tag.hex(),
        },
        "plaintexts": {name: letter.encode().hex() for name, letter in said.items()},
        "sealed": {name: body.hex() for name, body in bodies.items()},
        "answers": {name: answer(pair.there, body).hex() for name, body in bodies.items()},
        "introductions": {
            "wanted": Introduction(publics[0], wanted=True).encode().hex(),
            "told": Introduction(publics[0]).encode().hex(),
        },
        "datagrams": {
            "direct": datagram.encode().hex(),
            "answer": AnswerDatagram(anna, 513, answer(pair.there, bodies["text"])).encode().hex(),
        },
        "prekeys": {
            "secret": SECRET.hex(),
            "other_secret": OTHER_SECRET.hex(),
            "public": halves[0].hex(),
            "other_public": halves[1].hex(),
            "tag_key": later.there.tag.hex(),
            "cipher_key": later.there.cipher.hex(),
            "answer_key": later.there.answer.hex(),
            "back_tag_key": later.back.tag.hex(),
            "text": sealed.hex(),
            "its_answer": answer(later.there, sealed).hex(),
            "its_refusal": refusal(pair.there, sealed).hex(),
            "payload": payload.PrekeyRecord(2, halves[0]).encode().hex(),
            "payload_with_unopened": payload.PrekeyRecord(2, halves[0], ((publics[0], 9),))
            .encode()
            .hex(),
        },
        "window": window.encode().hex(),
    }


if __name__ == "__main__":
    PATH.write_text(json.dumps(make(), indent=2) + "\n")
