#pragma once

#include "apps/arguments.hpp"
#include "apps/consistency_line.hpp"
#include "apps/time_text.hpp"
#include "apps/verb.hpp"

/// The grammar of `loam rules`. Included by command_line.cpp only, as verb.hpp is.
namespace loam::cli {

inline void add_request_options(CLI::App& app, command::Rules::Request& request) {
  app.add_option("ACTION", request.action, "What is to be done")->required();
  const auto text = [&](const char* name, const char* type, std::optional<std::string>& into, const char* help) {
    app.add_option_function<std::string>(name, [&into](const std::string& given) { into = given; }, help)->type_name(type);
  };
  text("--resource", "R", request.resource, "To what; '' for nothing. What is not said may match any restriction");
  text("--subject", "S", request.subject, "By whom");
  text("--env", "E", request.environment, "Where");
  app.add_option_function<std::string>(
         "--risk",
         [&request](const std::string& given) {
           request.risk = parse_risk(given);
           if (!request.risk) throw Error(ErrorCode::invalid, "--risk: not low, medium, high or critical");
         },
         "Raises the risk of the action: low, medium, high or critical")
      ->type_name("RISK");
  app.add_option_function<std::vector<std::string>>(
         "--context",
         [&request](const std::vector<std::string>& fields) {
           for (const auto& field : fields) {
             if (request.context.insert(parse_field(field)).second) continue;
             throw Error(ErrorCode::invalid, "--context: \"" + field + "\" names a field again");
           }
         },
         "What conditions ask for, K=TEXT or K:=JSON; several times for several")
      ->type_name("K=V")
      ->allow_extra_args(false);
  app.add_option_function<std::string>(
         "--at", [&request](const std::string& given) { request.at_ms = parse_time(given); }, "As of a time (now)")
      ->type_name("TIME");
}

inline void add_rules_command(CLI::App& root, Command& chosen) {
  using Do = command::Rules::Do;
  const Verb<command::Rules> rules(
      root, chosen,
      {"rules", "Ask, show and change the approval rules that all instances share",
       "loam rules check deploy --resource prod/eu --env prod",
       "Exit code of check and explain: 0 allow and notify, 5 approval required, 4 deny.\n"
       "docs/GOVERNANCE.md tells what a rule may say, and what becomes of two that were written at once.\n\n"});
  rules.app()->require_subcommand(1);
  const auto add = [&](const char* name, const char* does, Do what) {
    CLI::App* const app = rules.app()->add_subcommand(name, does);
    app->fallthrough();
    app->callback([wanted = rules.operator->(), what] { wanted->what = what; });
    if (what != Do::diff && what != Do::test) add_consistency(*app, rules->call);
    return app;
  };
  add("list", "Print all rules, and what governance_meta says", Do::list);
  CLI::App* const show = add("show", "Print one rule; exit 3 when there is none", Do::show);
  show->add_option("ID", rules->id, "Of the rule")->required();
  show->add_flag("--heads", rules->heads, "All versions in force, not only the newest");
  CLI::App* const set = add("set", "Write a rule, or several at once or none", Do::set);
  set->add_option("FILE", rules->file, "A JSON object with \"id\" and \"effect\", or a list of such; - for standard input")
      ->required();
  CLI::App* const remove = add("remove", "Take a rule out of force", Do::remove);
  remove->add_option("ID", rules->id, "Of the rule")->required();
  add_request_options(*add("check", "Say what the rules require of an action", Do::check), rules->request);
  add_request_options(*add("explain", "The same, and why each rule matches or not", Do::explain), rules->request);
  CLI::App* const diff = add("diff", "Tell what has changed since the rules had a digest", Do::diff);
  diff->add_option("DIGEST", rules->id, "`rules_digest` of a decision of this instance")->required();
  CLI::App* const test = add("test", "Try rules before they are set; exit 1 when a case ends otherwise", Do::test);
  test->add_option("FILE", rules->file,
                   "{\"rules\": [to lay over those in force], \"remove\": [ids], \"cases\": [{\"action\", …, "
                   "\"effect\": what is expected}]}; - for standard input")
      ->required();
  add("conflicts", "Print the rules of which several versions are in force", Do::conflicts);
}

}  // namespace loam::cli
