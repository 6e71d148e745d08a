"""Known motifs: log odds worked by hand, and detectors that answer where a motif is."""

import math

import numpy as np
import pytest
import torch

from labtune.errors import DataError, SettingsError
from labtune_expression.alphabet import encode
from labtune_expression.conv import ConvEncoder
from labtune_expression.motifs import THRESHOLD, detectors, read_motifs

JASPAR = """>MA0001.1 FIRST
A [ 8 0 ]
C [ 0 8 ]
G [ 0 0 ]
T [ 0 0 ]
>MA0002.1 SECOND
A [ 2 0 9 ]
C [ 2 0 1 ]
G [ 2 4 0 ]
T [ 2 4 0 ]
"""
MEME = """MEME version 4

ALPHABET= ACGT

Background letter frequencies
A 0.25 C 0.25 G 0.25 T 0.25

MOTIF MA0002.1 SECOND
letter-probability matrix: alength= 4 w= 3 nsites= 10 E= 0
0.25 0.25 0.25 0.25
0.0 0.0 0.5 0.5
0.9 0.1 0.0 0.0
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "known.jaspar"
    path.write_text(JASPAR)
    return path


def test_log_odds_by_hand(file):
    first, second = read_motifs(str(file))
    full, none = math.log2(1.01 / 1.04 * 4), math.log2(0.01 / 1.04 * 4)
    np.testing.assert_allclose(first, [[full, none], [none, full], [none, none], [none, none]], rtol=1e-5)
    np.testing.assert_allclose(second[:, 0], 0, atol=1e-5)
    assert second[0, 2] == pytest.approx(math.log2(0.91 / 1.04 * 4), rel=1e-5)


def test_files_of_two_formats_agree(file, tmp_path):
    meme = tmp_path / "known.meme"
    meme.write_text(MEME)
    np.testing.assert_allclose(read_motifs(str(meme))[0], read_motifs(str(file))[1], rtol=1e-5, atol=1e-5)


def test_a_long_motif_gives_the_part_that_says_most():
    sharp = np.full((4, 3), -4.0, dtype=np.float32)
    sharp[0] = 1.9
    motif = np.concatenate([np.zeros((4, 4), dtype=np.float32), sharp], axis=1)
    weights, biases = detectors([motif], 3)
    np.testing.assert_allclose(weights[0], 0.3 * sharp)
    assert biases[0] == pytest.approx(-THRESHOLD * 3 * 0.3 * 1.9)


def test_a_detector_answers_where_its_motif_is(tmp_path):
    path = tmp_path / "known.jaspar"
    path.write_text(">M1 TATA\nA [ 0 9 0 9 ]\nC [ 0 0 0 0 ]\nG [ 0 0 0 0 ]\nT [ 9 0 9 0 ]\n")
    encoder = ConvEncoder(width=4, motifs=3, motif_length=5, blocks=1, known_motifs=str(path))
    ids = torch.from_numpy(encode("GGCGGTATACGGCC", "here")).long()
    strand = torch.zeros(len(ids), 1)
    block = torch.cat([encoder.bases[ids], strand], dim=1).T[None]
    answers = encoder.detectors(block)[0, 0]
    assert int(answers.argmax()) == 7  # the middle of a detector of five whose four letters start at its first
    assert int((answers > 0).sum()) == 1


def test_a_saved_network_needs_no_file(file, tmp_path):
    from labtune.catalog import load_catalog
    from labtune.encoder.loading import load_encoder

    options = {"width": 8, "motifs": 4, "blocks": 1, "known_motifs": str(file)}
    encoder = load_encoder("expression.conv", load_catalog(), options=options)
    encoder.save(tmp_path / "saved")
    file.unlink()
    again = load_encoder(str(tmp_path / "saved"), load_catalog())
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("known.txt", "x", SettingsError, "known motifs are read from"),
        ("known.meme", "no motif\n", DataError, "motif"),
        ("known.jaspar", "", DataError, "no motif"),
    ],
)
def test_bad_files_are_one_line(tmp_path, name, content, error, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(error, match=message):
        read_motifs(str(tmp_path / name))


def test_more_motifs_than_detectors_are_refused(file):
    with pytest.raises(SettingsError, match=r"motifs to at least that, not 1"):
        ConvEncoder(motifs=1, known_motifs=str(file))


def test_the_database_has_motifs_of_yeast():
    pytest.importorskip("pyjaspar")
    found = read_motifs("JASPAR2026/fungi")
    assert len(found) > 150
    with pytest.raises(SettingsError, match="no group 'yeasts'"):
        read_motifs("JASPAR2026/yeasts")
