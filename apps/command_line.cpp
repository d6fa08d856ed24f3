#include "apps/command_line.hpp"

#include <algorithm>
#include <chrono>
#include <sstream>

#include "apps/arguments.hpp"
#include "apps/consistency_line.hpp"
#include "apps/output.hpp"
#include "apps/rules_line.hpp"
#include "apps/time_text.hpp"
#include "apps/verb.hpp"
#include "crdt/codec.hpp"
#include "lib/json_value.hpp"

namespace loam::cli {
namespace {

std::int64_t now_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

void add_init(CLI::App& root, Command& chosen) {
  const Verb<command::Init> verb(root, chosen,
                                 {"init", "Make an instance in DIR, in a federation of one",
                                  "loam -C ~/agents/alpha init alpha"});
  verb.with("NAME", "A label: a-z, 0-9, _ and -, at most 63",
            [](auto& init, auto& text) {
              if (!is_name(text))
                throw Error(ErrorCode::invalid, "NAME: not a-z, 0-9, _ and -, 1 to 63");
              init.name = text;
            })
      ->required();
}

/// The options that say what an instance is to be and may do.
void add_rights(CLI::App& app, command::Rights& rights) {
  app.add_option_function<std::vector<std::string>>(
         "--allow",
         [&rights](const auto& texts) {
           for (const auto& text : texts) add_allowed(rights.allow, text);
         },
         "What it may: SEGMENT=LETTERS of r, w, t, l, several with commas; all=rw for every shared segment; "
         "SEGMENT= for nothing any more")
      ->type_name("RIGHTS")
      ->allow_extra_args(false);
  app.add_option_function<std::string>(
         "--role", [&rights](const auto& text) { rights.role = text; }, "member, hub or governor")
      ->type_name("ROLE");
  app.add_flag_function(
      "--voter,!--no-voter", [&rights](auto count) { rights.voter = count > 0; },
      "It votes on strong reads and writes once it was met, or no longer (docs/CONSISTENCY.md)");
  app.add_option("--listens", rights.endpoints, "Where it listens, wss://HOST:PORT; several times for several")
      ->type_name("ENDPOINT")
      ->allow_extra_args(false);
}

void take_name(std::string& into, const std::string& text) {
  if (!is_name(text)) throw Error(ErrorCode::invalid, "NAME: not a-z, 0-9, _ and -, 1 to 63");
  into = text;
}

void add_joining_commands(CLI::App& root, Command& chosen) {
  const Verb<command::Invite> invite(
      root, chosen,
      {"invite", "Print a token that lets one new instance in",
       "loam invite --name beta --allow 'lessons_learned=rw,approval_rules=r'",
       "Whoever has the token can join once, until it expires, while this instance serves. Keep it like a "
       "password.\n\n"});
  invite.with("--name NAME", "What the new instance is called", [](auto& wanted, auto& text) {
    take_name(wanted.name, text);
  })->required();
  add_rights(*invite.app(), invite->rights);
  invite.text("--endpoint ENDPOINT", invite->endpoint, "Where this instance listens (as its entry says)");
  invite.with("--valid DURATION", "How long (24h)", [](auto& wanted, auto& text) {
    wanted.valid = positive_duration("--valid", text);
  });

  const Verb<command::Join> join(
      root, chosen,
      {"join", "Make an instance in DIR, in the federation of a token or a file",
       "loam -C ~/agents/beta join loam-2v0q…",
       "A join that failed may be tried again. Without a network: `loam id --make` here, `loam admit NAME KEY --out "
       "FILE` there, then join with --federation FILE --name NAME.\n\n"});
  auto* token = join.text("TOKEN", join->token, "What `loam invite` printed; - reads standard input");
  auto* file = join.text("--federation FILE", join->file, "What `loam admit --out` wrote, or -");
  auto* name = join.with("--name NAME", "What this instance is called; else as the token says",
                         [](auto& wanted, auto& text) { take_name(wanted.name, text); });
  join.with("--timeout DURATION", "Give up after (10s)",
            [](auto& wanted, auto& text) { wanted.timeout = positive_duration("--timeout", text); });
  token->excludes(file);
  file->needs(name);

  const Verb<command::Admit> admit(
      root, chosen,
      {"admit", "Admit the holder of a key, without a network",
       "loam admit beta 3b6a… --allow all=rw --out federation.txt"});
  admit.with("NAME", "What it is called", [](auto& wanted, auto& text) { take_name(wanted.name, text); })->required();
  admit.text("KEY", admit->key, "Its public key: `loam id --make` there")->required();
  add_rights(*admit.app(), admit->rights);
  admit.text("--out FILE", admit->out, "Write what it needs to join, a file or -");
}

/// The options that make a record.
struct RecordOptions {
  CLI::Option* text;
  CLI::Option* field;
  std::vector<CLI::Option*> others;
};

void take_fields(NewRecord& record, const std::vector<std::string>& fields) {
  for (const auto& field : fields) {
    if (record.payload.insert(parse_field(field)).second) continue;
    throw Error(ErrorCode::invalid, "--field: \"" + field + "\" names a field again");
  }
}

RecordOptions add_record_options(const Verb<command::Remember>& verb) {
  NewRecord& into = verb->record;
  RecordOptions options;
  options.text = verb.text("TEXT", into.text, "What to remember; - reads standard input");
  options.field = verb.app()->add_option_function<std::vector<std::string>>(
      "--field", [&into](const auto& fields) { take_fields(into, fields); },
      "A further field of the payload, K=TEXT or K:=JSON; several times for several");
  options.field->type_name("K=V")->allow_extra_args(false);
  options.others = {
      verb.text("-s SEGMENT", into.segment, "Segment (lessons_learned)"),
      verb.texts("-t TAG", into.tags, "A tag; several times for several"),
      verb.text("--type TYPE", into.type, "Type of the record, else as the segment says"),
      verb.text("--title TITLE", into.title, "A title"),
      verb.text("--thread ID", into.thread_id, "Id of the thread it belongs to"),
      verb.text("--agent NAME", into.agent, "Which agent says so"),
      verb.text("--source TEXT", into.source, "Where it comes from"),
      verb.with("--confidence SCORE", "How sure, 0 to 1",
                [](auto& remember, auto& text) {
                  remember.record.confidence =
                      Confidence{.score = parse_score("--confidence", text)};
                }),
      verb.with("--expires WHEN", "When it stops being recalled: 7d, or a time",
                [](auto& remember, auto& text) {
                  remember.record.expires_at_ms = parse_deadline(text, now_ms());
                })};
  return options;
}

/// Throws unless the arguments mean exactly one of a record, a packet and a batch.
void check_meaning(const RecordOptions& record, const CLI::Option* packet,
                   const CLI::Option* batch) {
  const auto is_given = [](const CLI::Option* option) { return !option->empty(); };
  const bool has_content = is_given(record.text) || is_given(record.field);
  const bool has_record =
      has_content || std::any_of(record.others.begin(), record.others.end(), is_given);
  const int meant = int{has_record} + int{is_given(packet)} + int{is_given(batch)};
  if (meant > 1) {
    throw Error(ErrorCode::invalid,
                "remember: --packet and --batch exclude each other and all that makes a record");
  }
  if (has_content || (meant == 1 && !has_record)) return;
  throw Error(ErrorCode::invalid, "remember: needs TEXT, --field, --packet or --batch");
}

void add_remember(CLI::App& root, Command& chosen) {
  const Verb<command::Remember> verb(
      root, chosen,
      {"remember", "Write one record, or packets; durable when it returns",
       "loam remember 'Retry 429 with jitter' -t http -t retry --field severity=high"});
  const RecordOptions record = add_record_options(verb);
  auto* packet = verb.with("--packet FILE", "One envelope as JSON, a file or - (at most 1 MiB)",
                           [](auto& remember, auto& text) { remember.packet = text; });
  auto* batch = verb.with("--batch FILE",
                          "JSON lines, one envelope each, a file or -. What is valid is written; "
                          "a refused line makes the exit code 1",
                          [](auto& remember, auto& text) { remember.batch = text; });
  verb.flag("--atomic", verb->atomic,
            "Write all of a batch (at most 64 MiB), or nothing when one line is refused")
      ->needs(batch);
  verb.app()->parse_complete_callback(
      [record, packet, batch] { check_meaning(record, packet, batch); });
}

void add_recall(CLI::App& root, Command& chosen) {
  const Verb<command::Recall> verb(root, chosen,
                                   {"recall", "Search the merged memory of this instance",
                                    "loam recall 'rate limit retry' -n 5"});
  RecallQuery& query = verb->query;
  verb.text("QUERY", query.text, "Plain words; '' finds everything, newest first")->required();
  verb.texts("-s SEGMENT", query.segments, "Only this segment; several times for several");
  verb.texts("-t TAG", query.tags, "Only records with this tag; several times: with all of them");
  verb.text("--author NAME", query.author, "Only records of this instance");
  verb.with("--since TIME", "Not older: RFC 3339 or Unix milliseconds",
            [](auto& recall, auto& text) { recall.query.since_ms = parse_time(text); });
  verb.with("--until TIME", "Not newer",
            [](auto& recall, auto& text) { recall.query.until_ms = parse_time(text); });
  verb.with("-n NUMBER", "How many, 1 to 1000 (10)", [](auto& recall, auto& text) {
    recall.query.limit = parse_number("-n", text, {1, 1'000});
  });
  verb.with("--offset NUMBER", "Leave out so many of the best", [](auto& recall, auto& text) {
    recall.query.offset = parse_number("--offset", text, {0, 1'000'000'000});
  });
  verb.flag("--explain", query.explain, "Say what each word contributes to the score");
}

void add_record_commands(CLI::App& root, Command& chosen) {
  const Verb<command::Get> get(
      root, chosen, {"get", "Print one record; exit 3 when there is none", "loam get 01jq3x8m"});
  get.text("ID", get->id, "Its id, or 6 or more characters that only it starts with")->required();

  const Verb<command::List> list(
      root, chosen, {"list", "Print records, newest first", "loam list -s lessons_learned -n 20"});
  list.texts("-s SEGMENT", list->segments,
             "Only this segment; with several, one is listed after the other in the given order");
  list.with("-n NUMBER", "How many, 1 to 10000 (50)", [](auto& wanted, auto& text) {
    wanted.limit = parse_number("-n", text, {1, 10'000});
  });
  list.text("--cursor CURSOR", list->cursor, "Go on where an earlier list ended (its `next`)");

  const Verb<command::Revise> revise(root, chosen,
                                     {"revise", "Replace the text of a record by a new record",
                                      "loam revise 01jq3x8m 'Better text'"});
  revise.text("ID", revise->id, "Of the record")->required();
  revise.text("TEXT", revise->text, "The new text; - reads standard input")->required();

  const Verb<command::Forget> forget(
      root, chosen, {"forget", "Remove records everywhere", "loam forget 01jq3x8m"});
  forget.text("ID", forget->id, "Of the record");
  forget.text("--batch FILE", forget->batch,
              "Ids, one a line, a file or -; a refused line makes the exit code 1");
}

void add_entry_commands(CLI::App& root, Command& chosen) {
  const Verb<command::Put> put(
      root, chosen,
      {"put", "Set a key of a map segment", "loam put session_context goal '\"ship 1.0\"'"});
  put.text("SEGMENT", put->segment, "A map segment")->required();
  put.text("KEY", put->key, "1 to 400 octets")->required();
  put.with("JSON", "The value; octets as {\"$octets\": \"hex\"}",
           [](auto& wanted, auto& text) { wanted.value = parse_json(text); })
      ->required();
  add_consistency(*put.app(), put->call);

  const Verb<command::Show> show(root, chosen,
                                 {"show", "Print the value of a key; exit 3 when it has none",
                                  "loam show session_context goal"});
  show.text("SEGMENT", show->segment, "A map segment")->required();
  show.text("KEY", show->key, "The key")->required();
  show.flag("--heads", show->heads, "Also the concurrent values that lost");
  add_consistency(*show.app(), show->call);

  const Verb<command::Keys> keys(
      root, chosen, {"keys", "Print the keys that have a value", "loam keys session_context"});
  keys.text("SEGMENT", keys->segment, "A map segment")->required();
  keys.with("-n NUMBER", "How many, 1 to 10000 (1000)", [](auto& wanted, auto& text) {
    wanted.limit = parse_number("-n", text, {1, 10'000});
  });
  keys.text("--cursor CURSOR", keys->cursor, "Go on where an earlier list ended (its `next`)");

  const Verb<command::Erase> erase(
      root, chosen, {"erase", "Take the value of a key away", "loam erase session_context goal"});
  erase.text("SEGMENT", erase->segment, "A map segment")->required();
  erase.text("KEY", erase->key, "The key")->required();
  add_consistency(*erase.app(), erase->call);
}

void add_network_commands(CLI::App& root, Command& chosen) {
  const Verb<command::Serve> serve(
      root, chosen,
      {"serve", "Accept links and keep links to known endpoints, until SIGTERM or SIGINT",
       "loam serve --listen 127.0.0.1:7700",
       "Off loopback only with TLS: --listen wss://0.0.0.0:7700 --announce wss://hub.example.org:7700.\n"
       "No certificate is needed: the other side knows an instance by its key.\n\n"});
  serve.text("--listen ADDRESS", serve->options.listen,
             "Address and port (127.0.0.1:7700), or wss://ADDRESS:PORT; port 0 takes a free one");
  serve.text("--announce ENDPOINT", serve->options.announce, "Where others reach it, wss://HOST:PORT");
  serve.with(
      "--every DURATION", "Compare and dial again at least so often (1s)",
      [](auto& wanted, auto& text) { wanted.options.every = positive_duration("--every", text); });

  const Verb<command::Sync> sync(
      root, chosen,
      {"sync", "Exchange with each endpoint what the other lacks",
       "loam sync ws://127.0.0.1:7700 --timeout 5s",
       "With --strong it goes on until a majority of the voters has the same state, and a governor ends a change of "
       "voters.\n"
       "Exit code: 0 when every peer was reached, 1 when only some were, 6 when none was, or no majority;\n"
       "4 or 9 when all of them refused us as denied or untrusted; 2 when no ENDPOINT is "
       "one.\n\n"});
  sync.app()
      ->add_option("ENDPOINT", sync->options.endpoints, "ws://HOST:PORT or wss://HOST:PORT; none: the known ones")
      ->type_name("");
  sync.with("--timeout DURATION", "Give up after (10s)", [](auto& wanted, auto& text) {
    wanted.options.timeout = positive_duration("--timeout", text);
  });
  auto* watch = sync.flag("--watch", sync->watch, "Keep the links and print each change, until a signal");
  auto* strong = sync.flag("--strong", sync->options.strong, "Until a majority of the voters has the same state");
  auto* every = sync.with("--every DURATION", "Do it again so often, until a signal",
                          [](auto& wanted, auto& text) { wanted.every = positive_duration("--every", text); });
  watch->excludes(strong)->excludes(every);
}

void add_looking_commands(CLI::App& root, Command& chosen) {
  const Verb<command::Id> id(root, chosen, {"id", "Print who this instance is", "loam id"});
  id.flag("--make", id->make, "Make its key when there is none yet, so that it can be admitted; print the key alone");

  const Verb<command::Status> status(
      root, chosen, {"status", "Print segments, peers and alarms", "loam --json status"});
  status.flag("--watch", status->watch, "Print it again whenever it changes, until a signal");

  const Verb<command::Digest> digest(
      root, chosen,
      {"digest", "Print the hash of each shared segment: equal on instances in step",
       "loam digest"});
  digest.text("SEGMENT", digest->segment, "Only this one");

  const Verb<command::Route> route(
      root, chosen,
      {"route", "Say where an operation goes, or why not", "loam route write lessons_learned"});
  route
      .with("OPERATION", "read, write or remove",
            [](auto& wanted, auto& text) { wanted.operation = operation_of(text); })
      ->required();
  route.text("SEGMENT", route->segment, "Any segment")->required();
  route.text("INSTANCE", route->instance, "Name of the instance that asks; else this one");
}

void add_care_commands(CLI::App& root, Command& chosen) {
  const Verb<command::Verify> verify(
      root, chosen,
      {"verify", "Look whether the stores are sound; 7 when anything is damaged",
       "loam verify --deep",
       "With --absent the exit code is 1 when there is a trace, and nothing else is looked at.\n"});
  verify.flag("--deep", verify->deep, "Recompute every index, count and fingerprint too");
  verify.text("--absent ID", verify->absent,
              "Say whether a record's id, or a text, is still in a file");

  const Verb<command::Doctor> doctor(
      root, chosen,
      {"doctor", "Tell what an operator should know, and what to do; 7 when data is damaged",
       "loam doctor --fix"});
  doctor.flag("--fix", doctor->fix,
              "Repair what can be: modes, damaged records, a damaged store (set aside whole)");
  doctor.text("--name NAME", doctor->name, "Who the instance is, when its stores have lost it");
  doctor.text("--federation FILE", doctor->federation,
              "What `loam admit --out` of its federation wrote, when its stores have lost it");
}

void add_exchange_commands(CLI::App& root, Command& chosen) {
  const Verb<command::Export> exported(root, chosen,
                                       {"export", "Print records and entries as JSON lines",
                                        "loam export -s lessons_learned > lessons.jsonl"});
  exported.texts("-s SEGMENT", exported->query.segments,
                 "Only this segment; several times for several; none: every shared one");
  exported.flag("--private", exported->query.include_private, "Private segments too");

  const Verb<command::Import> imported(
      root, chosen,
      {"import", "Write what `export` printed; a refused line makes the exit code 1",
       "loam import lessons.jsonl"});
  imported.text("FILE", imported->file, "A file, or - for standard input")->required();
  imported.flag("--dry-run", imported->dry_run, "Check everything, write nothing");

  const Verb<command::Backup> backup(
      root, chosen,
      {"backup", "Make a backup, while the instance goes on", "loam backup /mnt/backups/alpha-monday",
       "Without --private it has no key: whoever restores it is a new instance, which a governor has to admit.\n"});
  backup.text("TARGET", backup->target, "A directory that is empty or not there yet")->required();
  backup.flag("--private", backup->options.with_private, "Private segments and the key too");

  const Verb<command::Restore> restore(
      root, chosen,
      {"restore", "Make the instance of a backup in DIR, which is empty",
       "loam -C DIR restore /mnt/backups/alpha-monday",
       "It catches up with its peers: what was removed since does not come back. With --as-new the instance in DIR\n"
       "writes as its own what the backup has and it has not, removed or not.\n"});
  restore.text("BACKUP", restore->backup, "What `backup` made, or the directory of a stopped instance")->required();
  restore.flag("--as-new", restore->as_new, "Bring records back to the instance in DIR, and so everywhere");
  restore.texts("-s SEGMENT", restore->segments,
                "With --as-new, only this segment; several times for several; none: every shared one that is not governed");

  const Verb<command::Peers> peers(
      root, chosen,
      {"peers", "Tell who is in the federation and who was met; change what they may",
       "loam peers grant beta --allow lessons_learned=r",
       "A peer that returns and lacks many records of a segment has removed them, or has lost its store.\n"
       "Such removals wait here until they are confirmed.\n\n"});
  peers.app()->require_subcommand(0, 1);
  peers.app()->add_subcommand("list", "Tell who is in the federation, who was met, and what waits of them")->fallthrough();
  CLI::App* const confirm =
      peers.app()->add_subcommand("confirm-removal", "Remove here too what a peer has removed");
  using Do = command::Peers::Do;
  const auto add = [&](CLI::App* app, Do what) {
    app->add_option("NAME", peers->who, "Its name, id or public key")->required();
    app->fallthrough();
    app->callback([wanted = peers.operator->(), what] { wanted->what = what; });
    return app;
  };
  add(confirm, Do::confirm);
  CLI::App& grant = *add(peers.app()->add_subcommand("grant", "Change what an instance may; the rest stays"), Do::grant);
  add_rights(grant, peers->rights);
  grant.add_flag("--force", peers->force,
                 "Voters change although no majority of them can be asked: what only they held may be lost");
  add_timeout(grant, peers->timeout, "How long a change of voters may wait for a majority of the old and new ones (10s)");
  add(peers.app()->add_subcommand("suspend", "Take all its rights away, until it is reinstated"), Do::suspend);
  add(peers.app()->add_subcommand("reinstate", "Let a suspended instance go on"), Do::reinstate);
  add(peers.app()->add_subcommand(
          "revoke", "For ever: what was seen of it here stays, all else that it wrote is void everywhere"),
      Do::revoke);

  const Verb<command::Journal> journal(
      root, chosen, {"journal", "Tell what the journal is for, or drop it", "loam journal --drop"});
  journal.flag("--drop", journal->drop,
               "Empty it: peers that return compare contexts instead; loses nothing");
}

void check_utf8(int count, const char* const* arguments) {
  for (int i = 1; i < count; ++i) {
    if (is_utf8(arguments[i])) continue;
    throw Error(ErrorCode::invalid, "argument " + std::to_string(i) + ": not UTF-8");
  }
}

/// What a person reads about arguments that do not parse.
std::string complaint_of(const CLI::App& root, const CLI::ParseError& outcome) {
  if (!root.get_subcommands().empty()) return outcome.what();
  const auto strangers = root.remaining();
  if (strangers.empty()) return "a command is missing";
  return "no command is called \"" + strangers.front() + "\"";
}

std::string hint_of(const CLI::App& root) {
  const auto commands = root.get_subcommands();
  return commands.empty() ? "loam --help" : "loam " + commands.front()->get_name() + " --help";
}

void add_everything(CLI::App& root, CommandLine& line) {
  root.set_version_flag("--version", "loam " LOAM_VERSION);
  root.add_option_function<std::string>(
          "-C", [&line](const std::string& dir) { line.dir = dir; },
          "Directory of the instance ($LOAM_DIR, else ~/.loam)")
      ->type_name("DIR");
  root.add_flag("--json", line.json, "Print exactly one JSON object, also for errors");
  root.footer(
      "Example:\n  loam init alpha && loam remember 'Retry 429 with jitter'\n\n"
      "loam COMMAND --help tells more about each.");
  root.get_formatter()->label("SUBCOMMAND", "COMMAND");
  root.require_subcommand(1);
  add_init(root, line.command);
  add_joining_commands(root, line.command);
  add_looking_commands(root, line.command);
  add_remember(root, line.command);
  add_recall(root, line.command);
  add_record_commands(root, line.command);
  add_entry_commands(root, line.command);
  add_rules_command(root, line.command);
  add_network_commands(root, line.command);
  add_exchange_commands(root, line.command);
  add_care_commands(root, line.command);
}

}  // namespace

std::variant<CommandLine, Answer> parse_command_line(int count, const char* const* arguments) {
  CommandLine line;
  CLI::App root("loam: federated memory for agents", "loam");
  add_everything(root, line);
  try {
    check_utf8(count, arguments);
    root.parse(count, arguments);
  } catch (const CLI::ParseError& outcome) {
    std::ostringstream answer;
    std::ostringstream complaint;
    if (root.exit(outcome, answer, complaint) == 0) return Answer{answer.str()};
    throw HintedError(Error(ErrorCode::invalid, "arguments: " + complaint_of(root, outcome)),
                      hint_of(root));
  } catch (const Error& error) {
    throw HintedError(error, hint_of(root));
  }
  return line;
}

bool wants_json(int count, const char* const* arguments) {
  for (int i = 1; i < count; ++i) {
    const std::string_view argument = arguments[i];
    if (argument == "--json") return true;
    if (argument == "--") return false;
  }
  return false;
}

}  // namespace loam::cli
