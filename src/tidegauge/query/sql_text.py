"""Analysts' SQL as text: named parameters, and what is refused by name.

The boundary is the database's: the role, the read-only transaction, the grammar of a cursor. The names here are of functions that PUBLIC
may call and that do something to others or to the session all the same: end other statements, take locks, sleep, run SQL given as text.
A call has to spell the function's name, so that looking for the name in the text finds every call; where it stands in a string or a
comment the statement is refused too, and says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from tidegauge.errors import InvalidArgument, SqlForbidden

# The session and its transaction; other sessions, their statements, locks and statistics; the server and its files; sequences, other
# databases; SQL given as text; what changes something in TimescaleDB; large objects.
_FUNCTIONS = (
    r"set_config", r"pg_sleep(_for|_until)?", r"pg_notify", r"pg_export_snapshot", r"(pg_current_xact_id|txid_current)",
    r"pg_current_logfile", r"pg_(terminate|cancel)_backend", r"pg_(try_)?advisory_\w+", r"pg_stat_activity",
    r"pg_stat_get_(backend_)?activity", r"pg_stat_get_backend_\w+", r"pg_stat_reset\w*", r"pg_stat_force_\w+",
    r"pg_stat_clear_snapshot", r"pg_log_\w+", r"pg_blocking_pids", r"pg_read_\w+", r"pg_ls_\w+", r"pg_stat_file", r"pg_file_\w+",
    r"pg_reload_conf", r"pg_rotate_logfile\w*", r"pg_switch_wal", r"pg_create_\w+", r"pg_drop_\w+",
    r"pg_(logical|replication|backup|promote|wal_replay)\w*", r"pg_start_backup", r"pg_stop_backup", r"pg_import_\w+",
    r"pg_hba_file_rules", r"pg_ident_file_mappings", r"pg_show_all_file_settings", r"pg_nextoid", r"binary_upgrade_\w+",
    r"pg_extension_config_dump", r"loread", r"lowrite", r"nextval", r"setval", r"dblink\w*", r"postgres_fdw_\w+",
    r"(query|table|schema|database|cursor)_to_xml\w*", r"ts_stat", r"ts_rewrite", r"(add|alter|delete|run)_job",
    r"(add|remove|alter)_\w*polic(y|ies)", r"drop_chunks?", r"(de|re)?compress_chunk", r"convert_to_(column|row)store",
    r"create_hypertable", r"refresh_continuous_aggregate", r"(move|merge|split|reorder|attach|detach|freeze|unfreeze)_chunks?",
    r"set_(chunk_time_interval|integer_now_func|number_partitions|adaptive_chunking|partitioning_interval)", r"add_dimension",
    r"timescaledb_(pre|post)_restore", r"(attach|detach)_tablespaces?",
    r"lo_(import|export|create?|open|close|get|put|from_bytea|unlink|truncate(64)?|lseek(64)?|tell(64)?)",
)  # fmt: skip
_REFUSED = re.compile(rf"(?<![\w$])(?=[^\W\d])({'|'.join(_FUNCTIONS)})(?![\w$])", re.IGNORECASE)
# An identifier with escapes, U&"…", could spell any name (PostgreSQL's manual, 4.1.2.3). Nobody needs one here.
_ESCAPED = re.compile(r"(?<![\w$])u&\"", re.IGNORECASE)
_TOKEN = re.compile(
    r"--[^\n]*|/\*|"
    r"(?<![\w$])[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|"
    r"(?<![\w$])(?P<dollar>\$(?:[^\W\d]\w*)?\$)|"
    r"::|(?<![\w:\])\"])(?P<name>:[^\W\d]\w*)",
    re.DOTALL,
)
_COMMENT = re.compile(r"/\*|\*/")


def refuse_by_name(text: str) -> None:
    """Raise where a refused function is named.

    Raises:
        SqlForbidden: which.
        InvalidArgument: the text cannot be read at all.

    """
    if "\0" in text:
        raise InvalidArgument("no NUL character is expected in SQL", parameter="sql")
    if not text.strip():
        raise InvalidArgument("there is no statement", hint="send one SELECT", parameter="sql")
    if (found := _REFUSED.search(text)) is not None:
        raise SqlForbidden(
            f"{found[0]} is not for this endpoint",
            hint="it does more than read, or looks at other sessions; a value with that text can be given as a parameter",
            sqlstate="42501",
            position=found.start() + 1,
        )
    if (found := _ESCAPED.search(text)) is not None:
        raise SqlForbidden(
            'identifiers with escapes (U&"…") are not for this endpoint',
            hint="write the name itself",
            sqlstate="42501",
            position=found.start() + 1,
        )


def with_numbers(text: str, names: Mapping[str, object]) -> tuple[str, list[str]]:
    """The text with ``$n`` in place of each ``:name`` outside of strings and comments; and the names in the order of their numbers.

    Raises:
        InvalidArgument: a name has no value, or a value is not used.

    """
    order: dict[str, int] = {}
    parts: list[str] = []
    at = 0
    while (token := _TOKEN.search(text, at)) is not None:
        end = token.end()
        parts.append(text[at : token.start()])
        if token[0] == "/*":
            end = _comment_end(text, token.start())
            parts.append(text[token.start() : end])
        elif token["dollar"]:
            # Without an end it is PostgreSQL's to refuse. Looked for here, since a pattern would look for each tag's end to the text's end.
            end = (text.find(token[0], end) + 1 or len(text) + 1) - 1 + len(token[0])
            parts.append(text[token.start() : end])
        elif token["name"]:
            name = token["name"][1:]
            if name not in names:
                raise InvalidArgument(f":{name} has no value", hint="give it in `parameters`", parameter="parameters")
            parts.append(f"${order.setdefault(name, len(order) + 1)}")
        else:
            parts.append(token[0])
        at = end
    if unused := [name for name in names if name not in order]:
        raise InvalidArgument(f":{unused[0]} does not stand in the statement", hint="leave its value out", parameter="parameters")
    return "".join([*parts, text[at:]]), list(order)


def _comment_end(text: str, start: int) -> int:
    """Behind a comment, which may hold others."""
    depth, at = 0, start
    while (mark := _COMMENT.search(text, at)) is not None:
        depth += 1 if mark[0] == "/*" else -1
        at = mark.end()
        if depth == 0:
            return at
    return len(text)
