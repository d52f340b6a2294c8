-- The prelude's part for shared pools: what a turn of a tenant depends on, and how a worker's appetite is shared out.
local FIRST_MS = 5 -- what a run is taken to take, before any has ended in the pool

local function pool_terms(Q, tenant)
    local text = redis.call('HGET', pool_terms_key(Q), tenant)
    if not text then
        return 1, 0, FAR
    end
    local weight, guaranteed, borrow = string.match(text, '^(%S+) (%S+) (%S+)$')
    guaranteed = tonumber(guaranteed or '') or 0
    return tonumber(weight or '') or 1, guaranteed, guaranteed + (tonumber(borrow or '') or FAR)
end

local function pool_used(Q, tenant)
    return tonumber(redis.call('HGET', pool_used_key(Q), tenant) or '0')
end

-- What a run of a tenant takes, ms: of one that is new, what all runs of the pool have taken of late.
local function pool_cost(Q, tenant)
    return tonumber(redis.call('HGET', pool_cost_key(Q), tenant) or '')
        or tonumber(redis.call('HGET', pool_cost_key(Q), '') or '') or FIRST_MS
end

-- Take in that `count` runs of a tenant took so long, ms, on the average. Not too eagerly: clocks are corrected by what
-- each run really took, and an estimate that jumps lets whole batches jump with it.
local function pool_learn(Q, tenant, ms, count)
    for _, who in ipairs({tenant, ''}) do
        local known = tonumber(redis.call('HGET', pool_cost_key(Q), who) or '')
        local mean = known and known + (ms - known) * math.min(0.3, 0.05 * count) or ms
        redis.call('HSET', pool_cost_key(Q), who, string.format('%.3f', mean))
    end
end

-- Share `total` runs among tenants: one by one, each to the one whose clock is furthest behind by then. So those who are
-- few have their shares by weight and time, too, though each of them has a turn.
local function pool_share(tenants, total)
    for _ = 1, total do
        local best, best_owed
        for _, each in ipairs(tenants) do
            local has = each.used + each.runs
            local owed = has < each.guaranteed
            if has < each.most and (not best or owed and not best_owed
                or owed == best_owed and each.at < best.at) then
                best, best_owed = each, owed
            end
        end
        if not best then
            return
        end
        best.runs, best.at = best.runs + 1, best.at + best.step
    end
end
