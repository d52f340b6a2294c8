-- log: keep lines that a run has logged. The token fences: who lost its lease writes nothing more into the run's log. The
-- lines of an attempt are numbered, so that those that are said twice are kept once. Of too many the last are kept, since
-- what a run ended of stands at its end; the run counts how many are not there. Of all a tenant's runs the last bytes are
-- kept, as they were written. Not for a full server: it is refused there.
-- log_lost: count lines that were dropped on their way; on a full server, too.
-- log_page: read some of the lines of a run, bounded whatever its tenant has made of them.
--
-- The run's field `log` holds five numbers: the token of the attempt that wrote last, how many of its lines were heard, how
-- many it has said it dropped, the bytes that are kept, and how many lines are not kept of all attempts.
--
-- KEYS  1 the tenant's prefix
-- ARGV  log: 1 id  2 token  3 attempt  4 number of the first line here among those of this attempt, from 1  5 how many of
--       the attempt's lines its worker has dropped  6 lines to keep at most  7 bytes to keep at most; then one a line:
--       ms since it was logged, level, stream, logger, text, with tabs between them; log_lost: 1 id  2 token  3 as 5 of log;
--       log_page: 1 id  2 the cursor behind which to read, '' from the first line on, '$' the last lines  3 how many lines
-- log and log_lost: writes log, run, logs, logged. Returns 1, or 0 when the run is not this worker's any more.
-- log_page: reads log, run; writes nothing. Returns {state, lines not kept, 1 when there may be more, cursor and line in turn,
-- each line as it was given, but beginning with when it was logged and in which attempt}; an empty state when there is no such run.
local LONGEST_LINE = 9216 -- bytes of a line, with what stands before its text
local BESIDE = 32 -- bytes that a line counts for beside its text and logger
local KEEP_LOG_MS = KEEP_DEAD_MS + 604800000 -- a log goes with its run: this is for one whose run is gone otherwise
local KEEP_LOGGED = 67108864 -- bytes of all logs of a tenant, as they were written
local MOST_FORGOTTEN = 64 -- entries of those that one call forgets; it makes one
local STRETCH = 64 -- lines looked at in one step
local MOST_TOLD = 1048576 -- bytes of a page

local function read_log(field)
    local token, heard, dropped, bytes, lost = string.match(field or '', '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
    return {token = token or '0', heard = tonumber(heard or 0), dropped = tonumber(dropped or 0),
        bytes = tonumber(bytes or 0), lost = tonumber(lost or 0)}
end

local function known_log(P, id, token)
    local f = redis.call('HMGET', run_key(P, id), 'state', 'token', 'log')
    if not f[1] or f[2] ~= token then
        return nil
    end
    local log = read_log(f[3])
    if log.token ~= token then
        log.token, log.heard, log.dropped = token, 0, 0
    end
    return log
end

local function note(P, id, log)
    local said = table.concat({log.token, int(log.heard), int(log.dropped), int(log.bytes), int(log.lost)}, ' ')
    redis.call('HSET', run_key(P, id), 'log', said)
end

-- What an entry of the stream holds, less when and in which attempt it was logged: what counts of it.
local function size_of(entry)
    local line = string.match(entry[2][2] or '', '^%d+\t%d+\t(.*)$')
    return line and #line + BESIDE or BESIDE
end

-- Take the oldest lines away until the rest is within its bounds.
local function evict(P, id, log, most_lines, most_bytes)
    local key = log_key(P, id)
    local lines, gone, after = redis.call('XLEN', key), 0, '-'
    local function is_over()
        return gone < lines and (lines - gone > most_lines or log.bytes > most_bytes)
    end
    while is_over() do
        local old = redis.call('XRANGE', key, after, '+', 'COUNT', STRETCH)
        for _, entry in ipairs(old) do
            if is_over() then
                log.bytes = math.max(0, log.bytes - size_of(entry))
                gone = gone + 1
                after = '(' .. entry[1]
            end
        end
        if #old == 0 then
            break
        end
    end
    if gone > 0 then
        redis.call('XTRIM', key, 'MAXLEN', lines - gone)
        log.lost = log.lost + gone
    end
    if gone == lines then
        log.bytes = 0
    end
end

-- Forget the lines of a run up to a cursor.
local function forget_lines(P, id, bytes, ms, seq)
    local key = log_key(P, id)
    local before = redis.call('XLEN', key)
    if before == 0 then
        return
    end
    redis.call('XTRIM', key, 'MINID', ms .. '-' .. int(tonumber(seq) + 1))
    local left = redis.call('XLEN', key)
    if left == 0 then
        redis.call('DEL', key)
    end
    local field = redis.call('HGET', run_key(P, id), 'log')
    if field then
        local log = read_log(field)
        log.bytes = left > 0 and math.max(0, log.bytes - bytes) or 0
        log.lost = log.lost + before - left
        note(P, id, log)
    end
end

-- Enter what was written among all that a tenant's runs have logged; the oldest is forgotten when that is too much.
local function enter_log(P, id, bytes, cursor)
    local logs = logs_key(P)
    redis.call('RPUSH', logs, table.concat({id, int(bytes), cursor}, ' '))
    local total = (tonumber(redis.call('GET', logged_key(P)) or 0) or 0) + bytes
    if not (total >= 0 and total < FAR) then -- the tenant's own doing
        total = bytes
    end
    for _ = 1, MOST_FORGOTTEN do
        if total <= KEEP_LOGGED then
            break
        end
        local oldest = redis.call('LPOP', logs)
        if not oldest then
            total = 0
            break
        end
        local old, size, ms, seq = string.match(oldest, '^(%S+) (%d+) (%d+)-(%d+)$')
        if old then
            total = total - tonumber(size)
            try(P, nil, forget_lines, P, old, tonumber(size), ms, seq)
        end
    end
    redis.call('SET', logged_key(P), int(math.max(0, total)))
end

-- Count what its worker says it has dropped of an attempt, so far.
local function drop_of(log, dropped)
    if dropped > log.dropped then
        log.lost = log.lost + dropped - log.dropped
        log.dropped = dropped
    end
end

local function log(keys, args)
    local P, t, id = keys[1], now(), args[1]
    local known, key = known_log(P, id, args[2]), log_key(P, id)
    if not known then
        return 0
    end
    local number, dropped = tonumber(args[4]), tonumber(args[5])
    local size, cursor = BESIDE, nil
    for i = 8, #args do
        if number > known.heard then
            local age, line = string.match(args[i], '^(%d+)\t(.*)$')
            line = cut(line, LONGEST_LINE)
            size = size + #line + BESIDE
            known.heard = number
            cursor = redis.call('XADD', key, '*', 'l', int(t - tonumber(age)) .. '\t' .. args[3] .. '\t' .. line)
        end
        number = number + 1
    end
    drop_of(known, dropped)
    if not cursor then
        note(P, id, known)
        return 1
    end
    known.bytes = known.bytes + size - BESIDE
    evict(P, id, known, tonumber(args[6]), tonumber(args[7]))
    note(P, id, known)
    redis.call('PEXPIRE', key, KEEP_LOG_MS)
    try(P, nil, enter_log, P, id, size, cursor)
    return 1
end

local function log_lost(keys, args)
    local P, id = keys[1], args[1]
    local known = known_log(P, id, args[2])
    if not known then
        return 0
    end
    drop_of(known, tonumber(args[3]))
    note(P, id, known)
    return 1
end

-- Read lines, the first behind `after` or the last ones, the last one first: whether there may be more, and them.
local function some_lines(P, id, after, most)
    local key, found, size, is_tail = log_key(P, id), {}, 0, after == '$'
    local from = is_tail and '+' or after == '' and '-' or '(' .. after
    while #found < 2 * most and size < MOST_TOLD do
        local step = math.min(STRETCH, most - #found / 2)
        local entries = redis.call(is_tail and 'XREVRANGE' or 'XRANGE', key, from, is_tail and '-' or '+', 'COUNT', step)
        for _, entry in ipairs(entries) do
            local line = cut(entry[2][2], LONGEST_LINE) or ''
            size = size + #line + BESIDE
            found[#found + 1] = entry[1]
            found[#found + 1] = line
            from = '(' .. entry[1]
        end
        if #entries < step then
            return false, found
        end
    end
    return true, found
end

local function log_page(keys, args)
    local P, id = keys[1], args[1]
    local f = try(P, nil, redis.call, 'HMGET', run_key(P, id), 'state', 'log')
    if not f or not f[1] then
        return {'', '0', 0, {}}
    end
    local lost = string.match(f[2] or '', '^%d+ %d+ %d+ %d+ (%d+)$')
    local more, found = try(P, nil, some_lines, P, id, args[2], tonumber(args[3]))
    found = found or {} -- a log that is none has no lines
    if args[2] == '$' then
        local ordered = {}
        for i = #found - 1, 1, -2 do
            ordered[#ordered + 1] = found[i]
            ordered[#ordered + 1] = found[i + 1]
        end
        more, found = false, ordered
    end
    return {cut(f[1], 20), cut(lost, 15) or '0', more and 1 or 0, found}
end

redis.register_function('taglane_log', log)
redis.register_function{function_name = 'taglane_log_lost', callback = log_lost, flags = {'allow-oom'}}
redis.register_function{function_name = 'taglane_log_page', callback = log_page, flags = {'no-writes'}}
