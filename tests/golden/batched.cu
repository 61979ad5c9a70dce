// batched
typedef Axis<0, Spread<TW_SPREAD_b>, TW_STEP_b, TW_EVEN_b> Axis_b;
typedef Axis<1, Spread<TW_SPREAD_m>, TW_STEP_m, TW_EVEN_m> Axis_m;
typedef Axis<2, Spread<TW_SPREAD_n>, TW_STEP_n, TW_EVEN_n> Axis_n;
typedef Axis<3, Spread<TW_SPREAD_K>, TW_STEP_K, TW_EVEN_K> Axis_K;
typedef Axes<Axis_b, Axis_m, Axis_n> Axes_b_m_n;

struct Arguments {
    Fault* fault;
    unsigned launch;
    int b_first, b_last, b_programs;
    int m_first, m_last, m_programs;
    int n_first, n_last, n_programs;
    Tensor<const f32, 3> arg_x;
    Tensor<const f32, 3> arg_y;
    Tensor<f32, 3> arg_out;
    int dim_B;
    int dim_M;
    int dim_N;
    int dim_K;
};

extern "C" __global__ void __launch_bounds__(TW_THREADS + TW_PRODUCERS)
batched(const __grid_constant__ Arguments args) {
    // for (b, m, n) in (tile(B), tile(M), tile(N))
    TW_SHARED(shared);
    (void)shared;
    unsigned program = blockIdx.x;
    Axis_n n;
    n.at(args.n_first + int(program % unsigned(args.n_programs)) * Axis_n::step, args.n_last);
    program /= unsigned(args.n_programs);
    Axis_m m;
    m.at(args.m_first + int(program % unsigned(args.m_programs)) * Axis_m::step, args.m_last);
    program /= unsigned(args.m_programs);
    Axis_b b;
    b.at(args.b_first + int(program % unsigned(args.b_programs)) * Axis_b::step, args.b_last);
    program /= unsigned(args.b_programs);
    Axis_K K;
    K.at(0, args.dim_K);
    (void)program;
    Tile<f32, Axes_b_m_n> v5;
    each(Axes_b_m_n, i) v5[i] = 0;
    sync_program();
    const Shared<f32, Axes<Axis_b, Axis_m, Axis_K>> block_of_x = {reinterpret_cast<f32*>(shared + TW_AT_0)};
    copy_block<TW_VECTOR_0>(Everyone(), true, block_of_x, args.arg_x.data, along(args.arg_x.stride[2], K), along(args.arg_x.stride[0], b), along(args.arg_x.stride[1], m));
    const Shared<f32, Axes<Axis_b, Axis_K, Axis_n>> block_of_y = {reinterpret_cast<f32*>(shared + TW_AT_1)};
    copy_block<TW_VECTOR_1>(Everyone(), true, block_of_y, args.arg_y.data, along(args.arg_y.stride[2], n), along(args.arg_y.stride[0], b), along(args.arg_y.stride[1], K));
    commit_copies();
    wait_copies<0>();
    fence_async();
    sync_program();
    dot_plain<Axis_K>(v5, block_of_x, block_of_y);
    sync_program();
    // out[(b, m, n)] = dot(x[(b, m, ..)], y[(b, .., n)], K);
    store<TW_VECTOR_2>(true, v5, args.arg_out.data, along(args.arg_out.stride[0], b), along(args.arg_out.stride[1], m), along(args.arg_out.stride[2], n));
}
