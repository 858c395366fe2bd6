"""What is taken out of an environment before something is started in it."""

from labs.rank_variables import without_rank_variables


def test_only_what_names_a_place_is_taken_out() -> None:
    places = dict.fromkeys(
        ["RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT", "TORCHELASTIC_RUN_ID", "LABS_NODE"], "1"
    )
    others = {"PATH": "/bin", "LABS_HOME": "/labs", "LABS_TIMEOUT": "5", "SLURM_JOB_ID": "7"}
    assert without_rank_variables(places | others) == others
