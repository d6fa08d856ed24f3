#include "crdt/codec.hpp"
#include "crdt/error.hpp"
#include "crdt/hash_tree.hpp"

// Taking a decoded value apart.
namespace loam {

const Array& as_array(const Value& value, const char* what) {
  if (const auto* array = value.get<Array>()) return *array;
  throw Error(ErrorCode::invalid, std::string(what) + ": not an array");
}

const Map& as_map(const Value& value, const char* what) {
  if (const auto* map = value.get<Map>()) return *map;
  throw Error(ErrorCode::invalid, std::string(what) + ": not a map");
}

std::uint64_t as_number(const Value& value, const char* what) {
  if (const auto* number = value.get<std::int64_t>(); number && *number >= 0) {
    return static_cast<std::uint64_t>(*number);
  }
  if (const auto* number = value.get<std::uint64_t>()) return *number;
  throw Error(ErrorCode::invalid, std::string(what) + ": not an unsigned integer");
}

const std::string& as_text(const Value& value, const char* what) {
  if (const auto* text = value.get<std::string>()) return *text;
  throw Error(ErrorCode::invalid, std::string(what) + ": not text");
}

const Bytes& as_octets(const Value& value, const char* what) {
  if (const auto* octets = value.get<Bytes>()) return *octets;
  throw Error(ErrorCode::invalid, std::string(what) + ": not octets");
}

template <class IdType>
IdType as_id(const Value& value, const char* what) {
  const auto id = IdType::from(as_octets(value, what));
  if (!id) throw Error(ErrorCode::invalid, std::string(what) + ": not 16 octets");
  return *id;
}

template ActorId as_id<ActorId>(const Value&, const char*);
template InstanceId as_id<InstanceId>(const Value&, const char*);
template FederationId as_id<FederationId>(const Value&, const char*);
template StoreId as_id<StoreId>(const Value&, const char*);
template ElementId as_id<ElementId>(const Value&, const char*);
template PacketId as_id<PacketId>(const Value&, const char*);
template ContentHash as_id<ContentHash>(const Value&, const char*);
template TreeHash as_id<TreeHash>(const Value&, const char*);

}  // namespace loam
