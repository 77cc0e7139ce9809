"""A database made as good as new: to make one and to drop it costs PostgreSQL ten times as much as to empty it."""

import asyncpg

_SHAPE = """
SELECT md5(coalesce(string_agg(line, E'\\n' ORDER BY line), '')) FROM (
  SELECT format('%s %s %s %s %s', c.oid::regclass, c.relkind, a.attname, a.atttypid::regtype, a.attnotnull) AS line
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
   WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0
  UNION ALL
  SELECT format('%s %s %s', tgrelid::regclass, tgname, tgenabled) FROM pg_trigger WHERE NOT tgisinternal
  UNION ALL
  SELECT format('%s %s', conrelid::regclass, pg_get_constraintdef(oid)) FROM pg_constraint WHERE conrelid <> 0
) AS lines
"""

_EMPTY = """
DO $$
DECLARE name text;
BEGIN
  SET LOCAL session_replication_role = replica;  -- no trigger and no foreign key is asked
  FOR name IN SELECT oid::regclass FROM pg_class
               WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'alembic_version' LOOP
    EXECUTE 'DELETE FROM ' || name;
  END LOOP;
  FOR name IN SELECT oid::regclass FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'S' LOOP
    PERFORM setval(name, (SELECT seqstart FROM pg_sequence WHERE seqrelid = name::regclass), false);
  END LOOP;
END $$
"""

_ALONE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


async def shape(url: str) -> str:
    """What tells tables, columns, triggers and constraints of one database from those of another."""
    connection = await asyncpg.connect(url)
    try:
        return str(await connection.fetchval(_SHAPE))
    finally:
        await connection.close()


async def emptied(url: str, wanted: str) -> bool:
    """Throw everybody and all rows out. False where the database is not of the shape `wanted` any more."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(_ALONE)
        if await connection.fetchval(_SHAPE) != wanted:
            return False
        await connection.execute(_EMPTY)
        return True
    finally:
        await connection.close()
