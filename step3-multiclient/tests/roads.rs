//! Which promises of this step other programs keep, which they break, and why.
//!
//! `mutex`, `pool` and `epoll` are other ways to build the same server. Their command line and
//! their client are those of the step. `naive_threads` is what most people write first.
//!
//! What takes long to test runs with `cargo test -p step3-multiclient --test roads -- --ignored`.

use testkit::{Chat, roads};

roads! {
    mutex: Chat::example(3, env!("CARGO_BIN_EXE_step3-multiclient"), "mutex"),
    keeps: [
        a_partial_line_is_buffered,
        a_split_character_survives,
        chunk_boundaries_do_not_matter,
        invalid_utf8_is_replaced,
        control_characters_are_replaced,
        crlf_ends_a_line_and_blank_lines_are_ignored,
        only_lines_over_4096_bytes_are_refused,
        our_client_refuses_only_lines_over_4096_bytes,
        exit_leaves,
        lines_similar_to_exit_do_not_leave,
        exit_without_a_line_end_leaves,
        the_last_line_needs_no_line_end,
        piped_lines_all_arrive,
        input_that_ends_at_once_is_delivered,
        a_half_closed_connection_is_drained,
        a_reset_in_mid_line_causes_one_leave_notice,
        a_port_can_be_used_again,
        a_port_in_use_and_a_missing_server_are_reported,
        bad_arguments_exit_with_2,
        host_names_and_ipv6_addresses_work,
        a_client_ends_when_the_server_ends,
        a_closed_stdout_ends_the_client,
        a_lost_connection_is_an_error,
        a_client_waits_one_second_for_the_goodbye,
        no_client_can_impersonate_another,
        the_operator_can_read_and_send,
        a_server_runs_without_a_console,
        a_closed_stdout_does_not_stop_the_server,
        a_full_stdout_costs_clients_no_line,
        a_second_sigint_ends_the_server_at_once,
        the_operators_last_line_arrives_before_the_goodbye,
        a_client_over_the_limit_is_refused,
        a_malformed_address_shows_the_form,
        an_unusable_address_reports_the_os_error,
        help_shows_the_default_address,
        telnet_negotiation_is_removed,
        a_client_reports_the_broken_connection,
        a_client_reports_the_refusal,
        a_background_server_serves_without_a_keyboard,
        a_server_continues_in_the_background,
    ],
    keeps_alone: [
        an_unterminated_line_ends_the_connection,
        a_reset_during_a_write_causes_one_leave_notice,
        sigint_and_sigterm_end_the_server_gracefully,
        the_operators_exit_ends_the_server,
        closed_connections_leak_no_threads_or_descriptors,
        a_client_that_never_reads_is_evicted,
        clients_that_send_before_they_read_do_not_deadlock,
        a_slot_is_free_when_the_socket_is_closed,
    ],
    keeps_slowly: [
        a_flood_does_not_delay_other_senders,
        a_server_survives_running_out_of_file_descriptors,
        slow_readers_cost_other_clients_no_line,
        slow_readers_cost_no_line_with_five_senders,
        sessions_that_linger_count_as_connections,
        a_reader_of_two_megabytes_a_second_stays_connected,
        a_steady_reader_is_evicted_at_the_end_of_a_line,
        a_short_stall_costs_no_line,
        clients_that_send_after_exit_delay_no_other_client,
    ],
    breaks: [],
    breaks_slowly: [],
    unstable: [
        a_burst_of_connections_is_answered:
            "Every join wakes up to 1,000 writers with the lock held: 5 s may not be enough.",
        twenty_floods_reach_every_reader:
            "Each read is a batch of its own. On a busy machine, a write may take over 1 s.",
    ],
}

roads! {
    pool: Chat::example(3, env!("CARGO_BIN_EXE_step3-multiclient"), "pool"),
    keeps: [
        a_partial_line_is_buffered,
        a_split_character_survives,
        chunk_boundaries_do_not_matter,
        invalid_utf8_is_replaced,
        control_characters_are_replaced,
        crlf_ends_a_line_and_blank_lines_are_ignored,
        only_lines_over_4096_bytes_are_refused,
        our_client_refuses_only_lines_over_4096_bytes,
        exit_leaves,
        lines_similar_to_exit_do_not_leave,
        exit_without_a_line_end_leaves,
        the_last_line_needs_no_line_end,
        piped_lines_all_arrive,
        input_that_ends_at_once_is_delivered,
        a_half_closed_connection_is_drained,
        a_reset_in_mid_line_causes_one_leave_notice,
        a_port_can_be_used_again,
        a_port_in_use_and_a_missing_server_are_reported,
        bad_arguments_exit_with_2,
        host_names_and_ipv6_addresses_work,
        a_client_ends_when_the_server_ends,
        a_closed_stdout_ends_the_client,
        a_lost_connection_is_an_error,
        a_client_waits_one_second_for_the_goodbye,
        no_client_can_impersonate_another,
        the_operator_can_read_and_send,
        a_server_runs_without_a_console,
        a_closed_stdout_does_not_stop_the_server,
        a_full_stdout_costs_clients_no_line,
        a_second_sigint_ends_the_server_at_once,
        the_operators_last_line_arrives_before_the_goodbye,
        a_malformed_address_shows_the_form,
        an_unusable_address_reports_the_os_error,
        help_shows_the_default_address,
        telnet_negotiation_is_removed,
        a_client_reports_the_broken_connection,
        a_client_reports_the_refusal,
        a_background_server_serves_without_a_keyboard,
        a_server_continues_in_the_background,
    ],
    keeps_alone: [
        an_unterminated_line_ends_the_connection,
        a_reset_during_a_write_causes_one_leave_notice,
        sigint_and_sigterm_end_the_server_gracefully,
        the_operators_exit_ends_the_server,
        closed_connections_leak_no_threads_or_descriptors,
        clients_that_send_before_they_read_do_not_deadlock,
    ],
    keeps_slowly: [
        slow_readers_cost_other_clients_no_line,
        a_reader_of_two_megabytes_a_second_stays_connected,
        a_short_stall_costs_no_line,
    ],
    breaks: [
        a_client_over_the_limit_is_refused:
            "With all workers busy, none accepts the client, so none can refuse it.",
        a_slot_is_free_when_the_socket_is_closed:
            "With all workers busy, none accepts the client, so none can refuse it.",
        a_server_survives_running_out_of_file_descriptors:
            "The pool greets only 16 clients. Descriptors never run out.",
        a_client_that_never_reads_is_evicted:
            "The worker has waited for 1 s with the lock held. It sends no reason.",
    ],
    breaks_slowly: [
        a_steady_reader_is_evicted_at_the_end_of_a_line:
            "The worker has waited for 1 s with the lock held. It sends no reason.",
        sessions_that_linger_count_as_connections:
            "With all workers busy, none accepts the client, so none can refuse it.",
        a_burst_of_connections_is_answered:
            "With 100 workers, 900 of 1,000 clients wait without a reply.",
        slow_readers_cost_no_line_with_five_senders:
            "This takes 17 clients, and there are 16 workers.",
        twenty_floods_reach_every_reader:
            "This takes 200 clients, and there are 16 workers.",
    ],
    unstable: [
        a_flood_does_not_delay_other_senders:
            "The lock is not fair: the worker of a flooding client takes it again and again.",
        clients_that_send_after_exit_delay_no_other_client:
            "A worker discards at full speed what arrives after `/exit`: close to the limit.",
    ],
}

roads! {
    epoll: Chat::example(3, env!("CARGO_BIN_EXE_step3-multiclient"), "epoll"),
    keeps: [
        a_partial_line_is_buffered,
        a_split_character_survives,
        chunk_boundaries_do_not_matter,
        invalid_utf8_is_replaced,
        control_characters_are_replaced,
        crlf_ends_a_line_and_blank_lines_are_ignored,
        only_lines_over_4096_bytes_are_refused,
        our_client_refuses_only_lines_over_4096_bytes,
        exit_leaves,
        lines_similar_to_exit_do_not_leave,
        exit_without_a_line_end_leaves,
        the_last_line_needs_no_line_end,
        piped_lines_all_arrive,
        input_that_ends_at_once_is_delivered,
        a_half_closed_connection_is_drained,
        a_reset_in_mid_line_causes_one_leave_notice,
        a_port_can_be_used_again,
        a_port_in_use_and_a_missing_server_are_reported,
        bad_arguments_exit_with_2,
        host_names_and_ipv6_addresses_work,
        a_client_ends_when_the_server_ends,
        a_closed_stdout_ends_the_client,
        a_lost_connection_is_an_error,
        a_client_waits_one_second_for_the_goodbye,
        no_client_can_impersonate_another,
        the_operator_can_read_and_send,
        a_server_runs_without_a_console,
        a_closed_stdout_does_not_stop_the_server,
        a_full_stdout_costs_clients_no_line,
        a_second_sigint_ends_the_server_at_once,
        the_operators_last_line_arrives_before_the_goodbye,
        a_client_over_the_limit_is_refused,
        a_malformed_address_shows_the_form,
        an_unusable_address_reports_the_os_error,
        help_shows_the_default_address,
        telnet_negotiation_is_removed,
        a_client_reports_the_broken_connection,
        a_client_reports_the_refusal,
        a_background_server_serves_without_a_keyboard,
        a_server_continues_in_the_background,
    ],
    keeps_alone: [
        an_unterminated_line_ends_the_connection,
        a_reset_during_a_write_causes_one_leave_notice,
        sigint_and_sigterm_end_the_server_gracefully,
        the_operators_exit_ends_the_server,
        closed_connections_leak_no_threads_or_descriptors,
        a_client_that_never_reads_is_evicted,
        clients_that_send_before_they_read_do_not_deadlock,
        a_slot_is_free_when_the_socket_is_closed,
    ],
    keeps_slowly: [
        a_flood_does_not_delay_other_senders,
        a_server_survives_running_out_of_file_descriptors,
        slow_readers_cost_other_clients_no_line,
        slow_readers_cost_no_line_with_five_senders,
        sessions_that_linger_count_as_connections,
        a_burst_of_connections_is_answered,
        a_reader_of_two_megabytes_a_second_stays_connected,
        a_steady_reader_is_evicted_at_the_end_of_a_line,
        a_short_stall_costs_no_line,
        twenty_floods_reach_every_reader,
        clients_that_send_after_exit_delay_no_other_client,
    ],
    breaks: [],
    breaks_slowly: [],
    unstable: [],
}

roads! {
    naive_threads: Chat::example(3, env!("CARGO_BIN_EXE_step3-multiclient"), "naive_threads"),
    keeps: [
        a_partial_line_is_buffered,
        a_split_character_survives,
        chunk_boundaries_do_not_matter,
        exit_without_a_line_end_leaves,
        the_last_line_needs_no_line_end,
        a_half_closed_connection_is_drained,
        a_port_in_use_and_a_missing_server_are_reported,
    ],
    keeps_alone: [],
    keeps_slowly: [
        a_flood_does_not_delay_other_senders,
        a_reader_of_two_megabytes_a_second_stays_connected,
        a_short_stall_costs_no_line,
    ],
    breaks: [
        invalid_utf8_is_replaced:
            "`lines` fails at bytes that are not UTF-8, and `unwrap` ends the client's thread.",
        telnet_negotiation_is_removed:
            "`lines` fails at bytes that are not UTF-8, and `unwrap` ends the client's thread.",
        control_characters_are_replaced:
            "Text is relayed as it is, escape sequences included.",
        no_client_can_impersonate_another:
            "After a carriage return, the rest of the text can overwrite the name.",
        crlf_ends_a_line_and_blank_lines_are_ignored:
            "Nothing parses a line, so blank lines are relayed.",
        exit_leaves:
            "Only `/exit` itself leaves. With a space behind it, it is an unknown command.",
        lines_similar_to_exit_do_not_leave:
            "A second slash does not quote the first: `//exit` is an unknown command.",
        only_lines_over_4096_bytes_are_refused:
            "`lines` has no limit.",
        our_client_refuses_only_lines_over_4096_bytes:
            "`lines` has no limit.",
        an_unterminated_line_ends_the_connection:
            "`lines` collects 100 MiB in memory while it waits for a newline.",
        a_reset_in_mid_line_causes_one_leave_notice:
            "`unwrap` ends the thread of a lost client, which stays in the list.",
        closed_connections_leak_no_threads_or_descriptors:
            "`unwrap` ends the thread of a lost client, which stays in the list.",
        a_client_over_the_limit_is_refused:
            "Nothing counts connections.",
        a_slot_is_free_when_the_socket_is_closed:
            "Nothing counts connections.",
        sessions_that_linger_count_as_connections:
            "Nothing counts connections.",
        a_burst_of_connections_is_answered:
            "Nothing counts connections.",
        a_server_survives_running_out_of_file_descriptors:
            "An error of `accept` ends the server.",
        a_client_that_never_reads_is_evicted:
            "`writeln!` blocks with the lock held: one client that does not read stops the room.",
        clients_that_send_before_they_read_do_not_deadlock:
            "`writeln!` blocks with the lock held: one client that does not read stops the room.",
        sigint_and_sigterm_end_the_server_gracefully:
            "Nothing handles signals, so the process dies without a goodbye.",
        a_second_sigint_ends_the_server_at_once:
            "Nothing handles signals, so the process dies without a goodbye.",
        a_server_runs_without_a_console:
            "Nothing handles signals, so the process dies without a goodbye.",
        a_background_server_serves_without_a_keyboard:
            "Nothing handles signals, so the process dies without a goodbye.",
        a_server_continues_in_the_background:
            "Nothing handles signals, so the process dies without a goodbye.",
        the_operators_exit_ends_the_server:
            "Nothing reads the server's keyboard.",
        the_operator_can_read_and_send:
            "Nothing reads the server's keyboard.",
        the_operators_last_line_arrives_before_the_goodbye:
            "Nothing reads the server's keyboard.",
        a_port_can_be_used_again:
            "Nothing reads the server's keyboard.",
        a_client_ends_when_the_server_ends:
            "Nothing reads the server's keyboard.",
        a_closed_stdout_does_not_stop_the_server:
            "`println!` panics if stdout is closed.",
        a_closed_stdout_ends_the_client:
            "`println!` panics in a thread, and the client waits for its keyboard.",
        a_full_stdout_costs_clients_no_line:
            "`println!` blocks while stdout is full, and so does the client.",
        host_names_and_ipv6_addresses_work:
            "The client sends `/exit` and waits for its keyboard again.",
        a_client_waits_one_second_for_the_goodbye:
            "The client sends `/exit` and waits for its keyboard again.",
        a_client_reports_the_broken_connection:
            "EOF from the server ends a thread, but the client waits for its keyboard.",
        a_client_reports_the_refusal:
            "EOF from the server ends a thread, but the client waits for its keyboard.",
        a_lost_connection_is_an_error:
            "The client prints a panic beside the error.",
        piped_lines_all_arrive:
            "The client ends at EOF on stdin, before the goodbye arrives.",
        a_malformed_address_shows_the_form:
            "`main` prints the `Debug` form of the error, which shows no example.",
        an_unusable_address_reports_the_os_error:
            "`main` prints the `Debug` form of the error, without the address.",
        bad_arguments_exit_with_2:
            "A missing argument is an index out of bounds: a panic, and exit code 101.",
        help_shows_the_default_address:
            "There is no help and no default.",
    ],
    breaks_slowly: [
        slow_readers_cost_other_clients_no_line:
            "`writeln!` blocks with the lock held: one client that does not read stops the room.",
        slow_readers_cost_no_line_with_five_senders:
            "`writeln!` blocks with the lock held: one client that does not read stops the room.",
        twenty_floods_reach_every_reader:
            "`writeln!` blocks with the lock held: one client that does not read stops the room.",
        a_steady_reader_is_evicted_at_the_end_of_a_line:
            "No client is evicted: a slow reader sets the pace of the room.",
    ],
    unstable: [
        input_that_ends_at_once_is_delivered:
            "If the client ends with unread input, the reset may destroy what it sent.",
        a_reset_during_a_write_causes_one_leave_notice:
            "Timing decides which thread first writes to a client that is gone, and ends.",
        clients_that_send_after_exit_delay_no_other_client:
            "Timing decides which thread first writes to a client that is gone, and ends.",
    ],
}
