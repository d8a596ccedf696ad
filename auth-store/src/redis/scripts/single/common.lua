-- The part of scripts that reach all keys.
local function in_braces(subject)
  return '{' .. string.gsub(string.gsub(string.gsub(subject, '%%', '%%25'), '{', '%%7B'), '}', '%%7D') .. '}'
end

local function row_key(id) return 'auth:s:' .. id end
local function epoch_key(subject) return 'auth:e:' .. in_braces(subject) end
local function index_key(subject) return 'auth:l:' .. in_braces(subject) end

local function later(a, b)
  if a.used ~= b.used then return a.used > b.used end
  if a.created ~= b.created then return a.created > b.created end
  -- Not `>`, which depends on the server's locale.
  for i = 1, 16 do
    local x, y = string.byte(a.id, i), string.byte(b.id, i)
    if x ~= y then return x > y end
  end
  return false
end

-- The live rows of a subject, the most recently used first, without the id `skip`. Members of the
-- index that can never be live again are removed. nil if one is unreadable and `strict` is set.
local function live_rows(index, epoch, now, skip, strict)
  local live, dead = {}, {}
  for _, id in ipairs(redis.call('ZRANGE', index, 0, -1)) do
    local row, value = read_row(row_key(id))
    if row == nil then
      dead[#dead + 1] = id
    elseif row == false then
      if strict then return nil end
    elseif row.reason ~= '' or row.epoch ~= epoch or now >= row.absolute then
      dead[#dead + 1] = id
    elseif now < row.idle and id ~= skip then
      row.id = id
      row.value = value
      live[#live + 1] = row
    end
  end
  table.sort(live, later)
  return live, dead
end
